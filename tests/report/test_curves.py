"""Curves of runs: what is drawn of one and of several, what is said of them, and what is refused."""

import json
import sys

import numpy as np
import pytest
from helpers.records import AFTER, RESULTS, history_of_paul

from paul_plugin.config.keys import get_default_config
from paul_plugin.figures.quantities import quantities
from paul_plugin.report.curves import _explain_curves, curves_of
from paul_plugin.run.record import read_run
from paul_plugin.runtime.errors import UserError

BLUE, RED = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)  # of the first and the second run


def holds(image, colour):
    return bool((np.asarray(image) == colour).all(2).any())


def test_curves_of_one_run(make_run):
    image = curves_of([make_run(history=history_of_paul(12, eval_freq=12), results=RESULTS)])
    assert image.mode == 'RGB'
    assert image.width == pytest.approx(1400, abs=5)
    assert holds(image, BLUE)
    assert not holds(image, RED)


def test_curves_of_several_runs(make_run):
    one = make_run('one', history=history_of_paul(), results=RESULTS)
    other = make_run('a $\\frac$', history=history_of_paul(6), results=RESULTS)
    untrained = make_run('untrained', results=RESULTS)
    image = curves_of([one, other, untrained, one])
    assert holds(image, BLUE)
    assert holds(image, RED)
    assert np.array_equal(image, curves_of([one, other, untrained]))  # a run named twice is drawn once
    (other / 'results.json').write_text(json.dumps({'direct_transfer': AFTER}))
    assert not np.array_equal(image, curves_of([one, other, untrained]))  # each has the line of its own direct transfer


def test_curves_of_a_run_without_labels_have_no_tests(make_run):
    labelled = make_run('labelled', history=history_of_paul(), results=RESULTS)
    without = make_run('without', history=history_of_paul(eval_freq=0))
    image = curves_of([without])
    assert holds(image, BLUE)
    assert image.height < curves_of([labelled]).height  # a row less: mAP and Rank-1


def test_curves_take_whatever_a_supervised_run_records(make_run):
    history = [
        {'epoch': 1, 'lr': 0.1, 'own_loss': 3.0, 'loss_t': 0.2, 'loss_x': 4.0, 'acc': 5.0, 'mAP': 0.2, 'rank1': 0.3}
    ]
    assert quantities(history) == ['mAP', 'rank1', 'loss_x', 'loss_t', 'acc', 'lr', 'own_loss']
    assert holds(curves_of([make_run(history=history)]), BLUE)  # one epoch is a point, not a line of no length


def test_runs_are_called_by_what_tells_them_apart(make_run, monkeypatch):
    drawn = []
    monkeypatch.setattr('paul_plugin.report.curves.draw_curves', drawn.extend)
    for names in (['paul', 'control'], ['1/pedal', '2/pedal']):
        drawn.clear()
        curves_of([make_run(name, history=history_of_paul()) for name in names])
        assert [run.name for run in drawn] == names


@pytest.mark.parametrize(('pedal', 'ipfl'), [(2.0, 1.0), (2.0, 0.0), (0.0, 1.0)])
def test_the_curves_are_explained_by_the_losses_that_are_on(pedal, ipfl):
    cfg = get_default_config()
    cfg.loss.name, cfg.paul.weight_pedal, cfg.paul.weight_ipfl = 'paul', pedal, ipfl
    text = _explain_curves(cfg, history_of_paul())
    assert ('2 x PEDAL' in text, '1 x IPFL' in text) == (pedal > 0, ipfl > 0)
    assert ' 0 x' not in text


def test_curves_refuse_in_one_line(make_run, monkeypatch):
    with pytest.raises(UserError, match=r'no run at nowhere: name the folder of a run \(its data.save_dir\)'):
        read_run('nowhere')
    run = make_run(history=history_of_paul())
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    with pytest.raises(UserError, match='matplotlib is not there: pip install matplotlib$'):
        curves_of([run])
