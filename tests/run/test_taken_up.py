"""A run that goes on and has nothing left to train: what a kill left unwritten is written, or it is refused."""

import json
import os

import pytest
import torch
from helpers.crashes import Crash
from helpers.signs import make_up_signs

from paul_plugin.checkpoints.folder import CheckpointFolder
from paul_plugin.engines.base import ResumableEngine

BEST = ('paul.keep', 'best', 'train.max_epoch', '2')


def crash(*_):
    raise Crash


def test_killed_between_the_last_checkpoint_and_what_is_beside_it(run, bare, monkeypatch, tmp_path):
    """Without labels no epoch and no test is left: the kept model and the record are those of an undisturbed run."""
    make_up_signs(monkeypatch, 0.5, 0.4, 0.3, 0.7)
    assert run(bare, *BEST, log='undisturbed')[0] == 0
    with monkeypatch.context() as killed:
        killed.setattr(CheckpointFolder, 'keep_as_best', crash)
        with pytest.raises(Crash):
            run(bare, *BEST)
    folder = tmp_path / 'log'
    assert (folder / 'model/model.pth.tar-2').exists()
    assert len(json.loads((folder / 'history.json').read_text())) == 1
    (folder / 'signs.json').unlink()

    status, out, err = run(bare, *BEST, 'model.resume', 'auto')
    assert status == 0, err
    assert 'Adapting to' not in out[out.index('Going on from') :]
    for name in ('history.json', 'signs.json'):
        assert (folder / name).read_bytes() == (tmp_path / 'undisturbed' / name).read_bytes()
    assert os.path.samefile(folder / 'model/kept.pth.tar', folder / 'model/model.pth.tar-2')


def test_the_record_of_an_earlier_run_is_not_that_of_a_new_one(run, bare, monkeypatch, tmp_path):
    """Killed in its first step."""
    (tmp_path / 'log').mkdir()
    (tmp_path / 'log/history.json').write_text('[{"epoch": 1, "lr": 0.1}]')
    monkeypatch.setattr(ResumableEngine, 'forward_backward', crash)
    with pytest.raises(Crash):
        run(bare)
    assert not (tmp_path / 'log/history.json').exists()


def test_a_named_checkpoint_that_leaves_nothing_to_do(run, bare, tmp_path):
    """Nothing to train, nothing to test on; in the run's own folder a later epoch would be named as its result."""
    assert run(bare)[0] == 0
    file = tmp_path / 'log/model/model.pth.tar-1'
    status, out, err = run(bare, 'model.resume', str(file), log='new')
    assert status == 2
    assert f'error: nothing to do: {file} (model.resume) has 1 epochs, train.max_epoch is 1, and' in err
    assert 'raise train.max_epoch' in err
    assert 'No results' not in out
    assert not list((tmp_path / 'new').rglob('*.tar*'))


def test_no_training_names_no_model(run, bare, tmp_path):
    """Neither none, nor that of an earlier run."""
    for earlier in (False, True):
        if earlier:
            (tmp_path / 'log/model').mkdir()
            torch.save({}, tmp_path / 'log/model/model.pth.tar-1')
        status, out, err = run(bare, 'train.max_epoch', '0')
        assert status == 0, err
        assert out.rstrip().endswith('nothing to test on. Nothing was trained, as train.max_epoch is 0')
