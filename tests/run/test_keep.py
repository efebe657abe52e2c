"""`paul.keep best` in a run: the model that it keeps, its figures and the verdict; by made-up signs."""

import json
import os

import pytest
from helpers.crashes import Crash
from helpers.jobs import run_embedded_job
from helpers.signs import make_up_signs

from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.engines.base import ResumableEngine
from paul_plugin.report.summary import make_report
from paul_plugin.run.trained import open_trained
from paul_plugin.runtime.errors import UserError


@pytest.fixture
def job(rendered, tmp_path, monkeypatch):
    """Runs the embedded job in small; returns the text of its log."""

    def job(agreements, *words):
        make_up_signs(monkeypatch, *agreements)
        folder = run_embedded_job(rendered, tmp_path / 'log', *words)
        return max(folder.glob('train.log*'), key=os.path.getmtime).read_text()

    return job


def test_the_kept_model_is_the_runs(job, tmp_path, capsys):
    folder = tmp_path / 'log'
    log = job((0.5, 0.4, 0.3), 'paul.keep', 'best')
    results = json.loads((folder / 'results.json').read_text())
    assert list(results) == ['direct_transfer', 'adapted', 'kept']
    assert results['kept'] == results['direct_transfer'] != results['adapted']
    assert '\nkept ' in log
    assert log.rstrip().splitlines()[-1].startswith('Is the model of epoch 1 better? Verdict without')
    assert 'do not keep it; the run keeps (paul.keep best) the start, as it was loaded, 0.500' in log
    trained = open_trained(folder)
    assert (trained.path, trained.run) == (folder / 'model/kept.pth.tar', folder)
    with pytest.raises(UserError, match=r'holds no memory bank: .* the start, .*: name .*/log/model/model.pth.tar-1$'):
        trained.memory()
    assert capsys.readouterr().out.count('(paul.keep best): the start, as it was loaded\n') == 1

    assert 'Test of the model that the run keeps' not in log  # which was tested as the start

    # Going on, until another is the best; its figures are not measured twice.
    log = job((0.5, 0.4, 0.3, 0.7), 'paul.keep', 'best', 'model.resume', 'auto', 'train.max_epoch', '2')
    assert read_checkpoint(folder / 'model/kept.pth.tar')['epoch'] == 2
    results = json.loads((folder / 'results.json').read_text())
    assert results['kept'] == results['adapted']
    assert 'Test of the model that the run keeps' not in log
    assert 'Verdict without labels: keep it. The rule' in log
    page = make_report(open_trained(folder), tmp_path / 'report.html', []).read_text()
    assert page.index('Is the model of epoch 2 better?') < page.index('<dl>')
    assert 'Patch agreement is how often' in page

    # Once more: nothing is left to do. Then without keeping: tools take the last epoch again.
    words = 'model.resume', 'auto', 'train.max_epoch', '2'
    assert 'Adapting to' not in job((), 'paul.keep', 'best', *words)
    assert json.loads((folder / 'results.json').read_text()) == results
    job((), *words)
    assert open_trained(folder).path.name == 'model.pth.tar-2'
    assert list(json.loads((folder / 'results.json').read_text())) == ['direct_transfer', 'adapted']


def test_no_verdict_without_an_epoch_and_last_by_default(job, tmp_path):
    assert 'paul.keep best would keep the start' in job((0.5, 0.4, 0.3))
    assert 'kept.pth.tar' not in os.listdir(tmp_path / 'log/model')
    assert 'Signs without labels' not in job((0.5, 0.4), 'train.max_epoch', '0')


def test_restarts_before_the_first_checkpoint_leave_one_model(job, tmp_path, monkeypatch):
    """As torchrun makes them: each would set aside the kept start of the one before, some hundred megabytes."""
    log = tmp_path / 'log'
    monkeypatch.setattr(ResumableEngine, 'forward_backward', crash)
    for attempt in range(3):
        monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', str(attempt))
        with pytest.raises(Crash):
            job((0.5, 0.4), 'paul.keep', 'best')
        assert sorted(os.listdir(log / 'model')) == ['kept.pth.tar']
        assert not (log / 'model.1').exists()
    (log / 'model/kept.pth.tar').write_text('what nobody can read')  # is not ours to remove
    with pytest.raises(Crash):
        job((0.5, 0.4), 'paul.keep', 'best')
    assert os.listdir(log / 'model.1') == ['kept.pth.tar']


def crash(*_):
    raise Crash
