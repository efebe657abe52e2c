"""What lies beside a run and is none of its records counts for nothing."""

import json

import pytest
from helpers.tables import finish, plan_of

from paul_plugin.ablation.estimates import Estimates
from paul_plugin.ablation.plan import RECORD
from paul_plugin.ablation.plot import draw
from paul_plugin.ablation.report import as_csv, as_markdown, measurements
from paul_plugin.run.record import results_path

WRONG = {
    'no JSON': '[',
    'too deep': '[' * 10**5,
    'a list': '[1, 2]',
    'seconds that are a word': '{"finished": true, "identity": IDENTITY, "seconds": "long", "software": {}}',
    'endless seconds': '{"finished": true, "identity": IDENTITY, "seconds": Infinity}',
    'no seconds': '{"finished": true, "identity": IDENTITY, "seconds": NaN}',
    'seconds of 400 digits': '{"finished": true, "identity": IDENTITY, "seconds": 1%s}' % ('0' * 400),
    'negative seconds': '{"finished": true, "identity": IDENTITY, "seconds": -5}',
    'software that is a list': '{"finished": true, "identity": IDENTITY, "software": ["torch"]}',
    'software of numbers': '{"finished": true, "identity": IDENTITY, "software": {"torch": {"a": 1}}}',
    'identity that is a list': '{"finished": true, "identity": [1]}',
    'finished that is a list': '{"finished": [1], "identity": IDENTITY, "seconds": [1]}',
}


@pytest.mark.parametrize('text', WRONG.values(), ids=list(WRONG))
def test_a_wrong_record_counts_for_nothing(text, tmp_path):
    """The result counts where the identity is the run's; the time, which is none, never."""
    plan = plan_of('k', tmp_path, values=['2'])
    (run,) = plan.cells.values()
    finish(run)
    (run.folder / RECORD).write_text(text.replace('IDENTITY', json.dumps(run.identity)))
    assert run.finished() == ('IDENTITY' in text)
    assert Estimates(tmp_path).seconds(run) is None
    found = measurements(plan)
    assert [(one.found['mAP'], one.seconds, one.software) for one in found] == [(0.5, None, '')] * run.finished()
    assert as_csv(found).count('\n') == 1 + run.finished()
    assert as_markdown(plan, found, '')
    assert draw(plan, found)


@pytest.mark.parametrize(
    'stage', [3, 'high', [0.5], {'mAP': 'high', 'rank1': 0.5}, {'mAP': None}, {'mAP': {'mAP': 1}}, {'mAP': 10**400}]
)
def test_results_that_are_no_numbers_are_none(stage, tmp_path):
    (run,) = plan_of('k', tmp_path, values=['2']).cells.values()
    finish(run)
    (run.folder / results_path(run.cfg).name).write_text(json.dumps({'adapted': stage}))
    assert not run.finished()
