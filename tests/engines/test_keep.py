"""The model that a run keeps by the signs of cameras, by made-up signs."""

import json
import os

import pytest
import torch
from helpers.crashes import RUN, Crash, final, resumed
from helpers.signs import make_up_signs
from programs.kill_and_resume import differences

from paul_plugin.checkpoints.folder import CheckpointFolder
from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.engines.watch.keep import KeepBest, find_kept
from paul_plugin.engines.watch.signs import CameraSigns
from paul_plugin.engines.watch.verdict import SIGN_NAMES


@pytest.fixture
def make_keeping(make_fresh_engine):
    def make(**options):
        engine = make_fresh_engine(**options)
        engine.checkpoint_minutes = 1000  # the signs alone ask for one
        signs = CameraSigns()
        engine.observers += [KeepBest(signs), signs]  # in any order
        return engine

    return make


def kept_in(folder):
    return read_checkpoint(folder / 'model/kept.pth.tar')


@pytest.mark.parametrize(
    ('agreements', 'name'),
    [((0.5, 0.4, 0.3), 'start'), ((0.5, 0.6, 0.3), 'filled'), ((0.5, 0.4, 0.7, 0.7), 'epoch 1')],
)
def test_the_best_is_kept(make_keeping, tmp_path, monkeypatch, agreements, name):
    make_up_signs(monkeypatch, *agreements)
    engine = make_keeping()
    start = {key: value.clone() for key, value in engine.model.state_dict().items()}
    engine.keep_checkpoints = 1
    epochs = len(agreements) - 2
    engine.run(save_dir=str(tmp_path), **{**RUN, 'max_epoch': epochs})
    kept = kept_in(tmp_path)
    assert kept['signs'][-1]['name'] == name
    assert kept['epoch'] == (name == 'epoch 1')
    assert ('memory' in kept) == (name != 'start')
    changed = [key for key, value in kept['state_dict'].items() if not value.equal(start[key])]
    only_statistics = all('running' in key or 'num_batches' in key for key in changed)
    assert (bool(changed), only_statistics) == {
        'start': (False, True), 'filled': (True, True), 'epoch 1': (True, False),
    }[name]  # fmt: skip
    assert sorted(os.listdir(tmp_path / 'model')) == [
        'kept.pth.tar', 'model-best.pth.tar', f'model.pth.tar-{epochs}',
    ]  # fmt: skip


def test_a_run_that_is_killed_between_its_checkpoint_and_the_kept_model(
    make_keeping, undisturbed, tmp_path, monkeypatch
):
    make_up_signs(monkeypatch, 0.5, 0.4, 0.7, 0.2)
    keep = CheckpointFolder.keep_as_best

    def crash(*_):
        raise Crash

    monkeypatch.setattr(CheckpointFolder, 'keep_as_best', crash)
    with pytest.raises(Crash):
        make_keeping().run(save_dir=str(tmp_path), **RUN)
    assert kept_in(tmp_path)['signs'][-1]['name'] == 'start'
    monkeypatch.setattr(CheckpointFolder, 'keep_as_best', keep)
    found, expected = resumed(make_keeping(), tmp_path), final(undisturbed)
    assert kept_in(tmp_path)['epoch'] == 1
    assert not any(sign.get('lost') for sign in found.pop('signs'))
    for entry in found['history']:
        for sort in SIGN_NAMES:
            entry.pop(sort)
    assert differences(found, expected) == []


def test_going_back_before_the_kept_model(make_keeping, tmp_path, monkeypatch, capsys):
    """What was kept before it is gone, but for the epoch whose checkpoint is there."""
    make_up_signs(monkeypatch, 0.5, 0.4, 0.3, 0.7)
    make_keeping().run(save_dir=str(tmp_path), **RUN)
    engine = make_keeping()
    make_up_signs(monkeypatch, 0.5, 0.4, 0.3, 0.2, 0.35)
    start = engine.resume(read_checkpoint(tmp_path / 'model/model.pth.tar-1'))
    capsys.readouterr()
    engine.run(save_dir=str(tmp_path), start_epoch=start, **RUN)
    out = capsys.readouterr().out
    assert 'so not to be kept: the start, as it was loaded, the start with BatchNorm' in out
    assert [sign.get('lost', 0) for sign in engine.observers[-1].signs] == [1, 1, 0, 0]
    assert json.loads((tmp_path / 'signs.json').read_text()) == engine.observers[-1].signs
    assert kept_in(tmp_path)['epoch'] == 1
    assert (tmp_path / 'model.1/kept.pth.tar').exists()

    other = make_keeping()  # more epochs, in another folder: all that was kept is elsewhere
    other.resume(read_checkpoint(tmp_path / 'model/model.pth.tar-2'))
    other.run(save_dir=str(tmp_path / 'other'), start_epoch=2, **{**RUN, 'max_epoch': 3})
    assert kept_in(tmp_path / 'other')['epoch'] == 3


def test_a_model_that_was_not_measured_is_not_kept(make_keeping, tmp_path, monkeypatch):
    make_up_signs(monkeypatch, 0.5, 0.4, 0.7)
    engine = make_keeping()
    engine.run(save_dir=str(tmp_path), **{**RUN, 'max_epoch': 1})
    engine.done = (2, 0)
    engine.recorded()
    assert kept_in(tmp_path)['epoch'] == 1
    assert not (tmp_path / 'model/model.pth.tar-2').exists()


def test_a_kept_model_that_cannot_be_read(tmp_path, capsys):
    signs = [{'name': 'start', 'epoch': 0, 'agreement': 0.5, 'mutuality': 0.5, 'mixing': 0.5}]
    folder = CheckpointFolder(tmp_path)
    folder.save_kept({'state_dict': {}, 'signs': signs})
    assert find_kept(folder, signs) is signs[0]
    torch.save({'signs': 'none'}, folder.kept)
    assert find_kept(folder, signs) is None
    assert 'no longer in' in capsys.readouterr().out


def test_unknown_cameras(make_keeping, tmp_path):
    engine = make_keeping()
    items = engine.datamanager.train_loader.dataset.data
    items[:] = [(path, pid, 0, dsetid) for path, pid, _, dsetid in items]
    engine.run(save_dir=str(tmp_path), **{**RUN, 'max_epoch': 1})
    assert not (tmp_path / 'model/kept.pth.tar').exists()
