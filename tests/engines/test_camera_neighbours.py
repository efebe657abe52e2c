"""PEDAL camera by camera in the engine: the rows' order, a run to the bit, what is refused."""

import math

import pytest
import torch
from helpers.batches import batch_of
from helpers.crashes import RUN
from programs.kill_and_resume import differences

from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.engines.state import state_of
from paul_plugin.method.camera_pedal import CameraPEDALLoss


@pytest.fixture
def make_datamanager(make_datamanager):
    """Makes a data manager; `first` training images by path are of one camera, the others of another."""

    def make(first=None, **options):
        datamanager = make_datamanager(**options)
        items = datamanager.train_loader.dataset.data
        if first is not None:
            items.sort(key=lambda item: item[0])
            items[:] = [(*item[:2], int(place >= first), *item[3:]) for place, item in enumerate(items)]
        return datamanager

    return make


def test_rows_are_sorted_by_camera(make_engine):
    engine = make_engine(neighbours='camera', k=10)
    items = engine.datamanager.train_loader.dataset.data
    cameras = [item[2] for item in items]
    assert cameras == sorted(cameras)
    assert isinstance(engine.objective.pedal, CameraPEDALLoss)
    assert engine.objective.pedal.k == round(10 / len(set(cameras)))
    counts = [cameras.count(each) for each in sorted(set(cameras))]
    assert [stop - start for start, stop in engine.objective.pedal.spans] == counts
    batch = batch_of(engine)
    assert [items[row][0] for row in batch['row']] == batch['impath']
    assert make_engine(neighbours='camera', k_camera=3).objective.pedal.k == 3


@pytest.mark.parametrize('positives', ['image', 'mutual', 'reciprocal'])
def test_it_is_resumed_to_the_bit(make_fresh_engine, tmp_path, positives):
    options = {'neighbours': 'camera', 'k_camera': 2, 'positives': positives, 'overlap': 0.2}
    engine = make_fresh_engine(**options)
    engine.run(save_dir=str(tmp_path / 'whole'), **RUN)
    path = tmp_path / 'whole/model/model.pth.tar-1-2'
    again = make_fresh_engine(minutes=math.inf, **options)
    again.run(save_dir=str(tmp_path / 'again'), start_epoch=again.resume(read_checkpoint(path)), **RUN)
    finals = (read_checkpoint(tmp_path / name / 'model/model.pth.tar-2') for name in ('whole', 'again'))
    assert differences(*finals) == []
    assert engine.history[-1]['pedal'] > 0
    assert again.history == engine.history
    assert 'positives' in engine.history[-1]


def test_it_goes_on_from_a_model_that_was_kept_before_the_first_epoch(make_fresh_engine, tmp_path):
    """Its bank is filled, and its positives are chosen once an epoch begins."""
    options = {'neighbours': 'camera', 'k_camera': 2, 'positives': 'mutual', 'minutes': math.inf}
    engine = make_fresh_engine(**options)
    engine.fill_memory()
    state = state_of(engine)
    assert 'positives' not in state
    again = make_fresh_engine(**options)
    again.run(save_dir=str(tmp_path), start_epoch=again.resume(state), **{**RUN, 'max_epoch': 1})
    assert again.history[0]['positives'] > 0


def test_mutual_positives_of_an_epoch(make_fresh_engine, tmp_path, capsys):
    engine = make_fresh_engine(neighbours='camera', k_camera=2, positives='mutual', minutes=math.inf)
    engine.run(save_dir=str(tmp_path), **{**RUN, 'max_epoch': 1})
    entry, (number, cameras, k) = engine.history[-1], engine.objective.positives.shape
    assert (number, cameras, k) == (engine.memory.num_images, len(engine.objective.pedal.spans), 2)
    said = f'Positives: {entry["positives"]:.2f} an image, {entry["other_cameras"]:.2f} of them in other cameras'
    assert said in capsys.readouterr().out
    for image, camera, place in (engine.objective.positives >= 0).nonzero().tolist():
        other = engine.objective.positives[image, camera, place]
        own = next(c for c, (start, end) in enumerate(engine.objective.pedal.spans) if start <= image < end)
        assert image in engine.objective.positives[other, own]


def test_a_run_whose_images_find_no_positives(make_fresh_engine, tmp_path, capsys):
    options = {'neighbours': 'camera', 'positives': 'reciprocal', 'overlap': 1 - 1e-9, 'weight_ipfl': 0.0}
    engine = make_fresh_engine(minutes=math.inf, **options)
    engine.run(save_dir=str(tmp_path), **{**RUN, 'max_epoch': 1})
    assert engine.history[-1]['without'] > 0.5
    assert 'warning: most images have no positive and add nothing' in capsys.readouterr().out
    assert math.isfinite(engine.history[-1]['loss'])


def test_of_one_camera_it_is_pedal_to_the_bit(make_fresh_engine, tmp_path, capsys):
    """Cameras that are unknown are one: nothing but a line that is printed tells them from neighbours='all'."""
    finals = []
    for neighbours in ('all', 'camera'):
        options = {'neighbours': neighbours, 'k_camera': 2}
        engine = make_fresh_engine(data=(('first', 48),), minutes=math.inf, **options)
        said = 'PEDAL looks for the nearest among all of them (folder.camera names' in capsys.readouterr().out
        assert said == (neighbours == 'camera')
        engine.run(save_dir=str(tmp_path / neighbours), **{**RUN, 'max_epoch': 1})
        finals.append(read_checkpoint(tmp_path / neighbours / 'model/model.pth.tar-1'))
    assert differences(*finals) == []
    assert 'positives' not in engine.history[-1]


@pytest.mark.parametrize('positives', ['image', 'mutual', 'reciprocal'])
def test_of_one_camera_whole_images_choose_positives_among_all(make_fresh_engine, tmp_path, capsys, positives):
    """On real crops whose cameras are unknown they gained more than the nearest patches."""
    options = {'neighbours': 'camera', 'k': 4, 'positives': positives, 'overlap': 0.2, 'minutes': math.inf}
    engine = make_fresh_engine(data=(('first', 48),), **options)
    assert 'PEDAL looks for the nearest among all of them (folder.camera names' in capsys.readouterr().out
    assert engine.objective.pedal.spans == [(0, 48)]
    engine.run(save_dir=str(tmp_path), **{**RUN, 'max_epoch': 1})
    entry, chosen = engine.history[-1], engine.objective.positives
    assert chosen.shape == (48, 1, 4)
    own = torch.arange(48)[:, None]
    assert (chosen[:, 0] == own).sum() == 0 < (chosen >= 0).sum() == round(48 * entry['positives'])
    assert 'other_cameras' not in entry
    assert f'Positives: {entry["positives"]:.2f} an image; ' in capsys.readouterr().out
    checkpoint = read_checkpoint(tmp_path / 'model/model.pth.tar-1')
    assert checkpoint['positives'].equal(chosen.to(torch.int32))


def test_other_cameras_are_refused_on_resume(make_fresh_engine, tmp_path):
    """The rows' order is the same: the digest of the images cannot tell."""
    make_fresh_engine(data=(('first', 24),), neighbours='camera').run(save_dir=str(tmp_path), **{**RUN, 'max_epoch': 1})
    checkpoint = read_checkpoint(tmp_path / 'model/model.pth.tar-1')
    again = make_fresh_engine(data=(('first', 30),), neighbours='camera')
    assert again.images_digest == checkpoint['images']
    with pytest.raises(ValueError, match='of training images of other cameras'):
        again.resume(checkpoint)


def test_other_ways_are_refused(make_engine):
    with pytest.raises(ValueError, match="neighbours must be 'all' or 'camera', got 'site'"):
        make_engine(neighbours='site')
    words = "positives must be 'patch' or 'image' or 'mutual' or 'reciprocal', got 'both'"
    with pytest.raises(ValueError, match=words):
        make_engine(positives='both')
    with pytest.raises(ValueError, match="positives='mutual' needs neighbours='camera'"):
        make_engine(positives='mutual')
    with pytest.raises(ValueError, match='k=40 needs a camera of more than k training images, the largest of . has'):
        make_engine(neighbours='camera', k_camera=40)
