"""The signs of cameras that an engine records, and that recording them changes nothing."""

import json

import pytest
import torch
from helpers.crashes import RUN, Crash, final, resumed
from programs.kill_and_resume import differences

from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.data.descriptors import describe
from paul_plugin.engines.watch.signs import CameraSigns, crops_described, why_unknown
from paul_plugin.engines.watch.verdict import RANK, SIGN_NAMES
from paul_plugin.host.data import training_cameras, training_images
from paul_plugin.method.camera_signs import camera_mixing, camera_mutuality, effective_rank, patch_agreement


@pytest.fixture
def make_watched(make_fresh_engine):
    def make(**options):
        engine = make_fresh_engine(**options)
        engine.observers.append(CameraSigns())
        return engine

    return make


def test_the_run_is_that_without_signs_and_goes_on(make_watched, undisturbed, tmp_path):
    """Killed in the second epoch; to the byte, but for what the signs add."""
    engine = make_watched(crash_after=6)
    with pytest.raises(Crash):
        engine.run(save_dir=str(tmp_path), **RUN)
    found, expected = resumed(make_watched(), tmp_path), final(undisturbed)
    signs = found.pop('signs')
    assert 'signs' not in expected
    assert [(sign['name'], sign['epoch']) for sign in signs] == [
        ('start', 0), ('filled', 0), ('epoch 1', 1), ('epoch 2', 2),
    ]  # fmt: skip
    assert json.loads((tmp_path / 'signs.json').read_text()) == signs
    for entry, sign in zip(found['history'], signs[2:], strict=True):
        sorts = *SIGN_NAMES, RANK
        assert [entry.pop(sort) for sort in sorts] == [sign[sort] for sort in sorts]
    assert differences(found, expected) == []

    assert make_watched().resume(read_checkpoint(tmp_path / 'model/model.pth.tar-2')) == 2


def test_what_is_measured(make_watched, tmp_path):
    engine = make_watched()
    manager = engine.datamanager
    engine.model.eval()
    descriptors = torch.cat(list(describe(engine.model, training_images(manager), manager.transform_te)))
    engine.model.train()
    modes = [module.training for module in engine.model.modules()]
    random = torch.get_rng_state()
    weights = {name: value.clone() for name, value in engine.model.state_dict().items()}
    observer = engine.observers[-1]
    observer.at_start(engine)

    cameras = torch.tensor(training_cameras(manager))
    expected = {
        'mutuality': camera_mutuality(descriptors, cameras),
        'mixing': camera_mixing(descriptors, cameras),
        'agreement': patch_agreement(descriptors.unflatten(1, (6, -1)), cameras),
        'effective_rank': effective_rank(descriptors, cameras),
        'crops': len(cameras),
    }
    assert observer.signs == [{'name': 'start', 'epoch': 0, **expected}]
    assert [module.training for module in engine.model.modules()] == modes
    assert torch.get_rng_state().equal(random)
    assert all(value.equal(weights[name]) for name, value in engine.model.state_dict().items())
    observer.at_start(engine)  # of another run, which begins anew
    assert len(observer.signs) == 1


@pytest.mark.parametrize(('mixing', 'warned'), [(0.9, False), (1.2, True)])
def test_cameras_that_are_none(make_watched, monkeypatch, capsys, mixing, warned):
    """As where a detector's counter is read as a camera: the boxes of one picture look alike."""
    monkeypatch.setattr('paul_plugin.engines.watch.signs.camera_mixing', lambda *_: mixing)
    engine = make_watched()
    engine.observers[-1].at_start(engine)
    assert ('warning: camera mixing is 1.200, above chance' in capsys.readouterr().out) == warned


def test_the_crops_are_drawn_by_the_seed(make_watched, monkeypatch):
    monkeypatch.setattr('paul_plugin.engines.watch.signs._FEWEST', 20)
    found = []
    for seed in (1, 1, 2):
        engine = make_watched()
        engine.seed = seed
        observer = engine.observers[-1]
        observer.at_start(engine)
        found.append([image.tobytes() for image in observer._images])
    assert [len(images) for images in found] == [20, 20, 20]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(('images', 'crops'), [(48, 48), (671, 300), (1100, 366), (12_936, 2000)])
def test_how_many_crops(images, crops):
    assert crops_described(images) == crops


def test_one_camera(make_watched, make_datamanager, tmp_path, capsys):
    engine = make_watched()
    items = engine.datamanager.train_loader.dataset.data
    items[:] = [(path, pid, 0, dsetid) for path, pid, _, dsetid in items]
    (tmp_path / 'signs.json').write_text('[]')  # of an earlier run
    engine.run(save_dir=str(tmp_path), **{**RUN, 'max_epoch': 1})
    assert engine.observers[-1].signs == []
    assert 'mutuality' not in engine.history[0]
    assert not (tmp_path / 'signs.json').exists()
    assert 'Name the cameras by folder.camera' in capsys.readouterr().out


def test_a_camera_for_each_image(make_watched, tmp_path, capsys):
    """Nothing is told by them: no signs, and a line that says why. Of two crops each there are signs."""
    assert why_unknown([0, 1, 2, 2]) != '' == why_unknown([0, 0, 1, 1, 2])
    engine = make_watched()
    items = engine.datamanager.train_loader.dataset.data
    items[:] = [(path, pid, number, dsetid) for number, (path, pid, _, dsetid) in enumerate(items)]
    observer = engine.observers[-1]
    observer.at_start(engine)
    observer.after_filling(engine)
    assert observer.signs == []
    out = capsys.readouterr().out
    assert 'cannot be told whether adapting helped: 48 cameras were read for 48 crops, most of them with a' in out
