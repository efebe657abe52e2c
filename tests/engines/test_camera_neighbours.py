"""PEDAL camera by camera in the engine: the rows' order, a run to the bit, what is refused."""

import pytest
from helpers.batches import batch_of
from helpers.crashes import RUN
from programs.kill_and_resume import differences

from paul_plugin.checkpoints.weights import read_checkpoint
from paul_plugin.method.camera_pedal import CameraPEDALLoss


def test_rows_are_sorted_by_camera(make_engine):
    engine = make_engine(neighbours='camera', k=10)
    items = engine.datamanager.train_loader.dataset.data
    cameras = [item[2] for item in items]
    assert cameras == sorted(cameras)
    assert isinstance(engine.pedal, CameraPEDALLoss)
    assert engine.pedal.k == round(10 / len(set(cameras)))
    counts = [cameras.count(each) for each in sorted(set(cameras))]
    assert [stop - start for start, stop in engine.pedal.spans] == counts
    batch = batch_of(engine)
    assert [items[row][0] for row in batch['row']] == batch['impath']
    assert make_engine(neighbours='camera', k_camera=3).pedal.k == 3


def test_it_is_resumed_to_the_bit(make_fresh_engine, tmp_path):
    options = {'neighbours': 'camera', 'k_camera': 2}
    engine = make_fresh_engine(**options)
    engine.run(save_dir=str(tmp_path / 'whole'), **RUN)
    path = tmp_path / 'whole/model/model.pth.tar-1-2'
    again = make_fresh_engine(**options)
    again.run(save_dir=str(tmp_path / 'again'), start_epoch=again.resume(read_checkpoint(path)), **RUN)
    finals = (read_checkpoint(tmp_path / name / 'model/model.pth.tar-3') for name in ('whole', 'again'))
    assert differences(*finals) == []
    assert engine.history[-1]['pedal'] > 0


def test_other_ways_are_refused(make_engine, make_datamanager):
    with pytest.raises(ValueError, match="neighbours must be 'all' or 'camera', got 'site'"):
        make_engine(neighbours='site')
    datamanager = make_datamanager()
    items = datamanager.train_loader.dataset.data
    items[:] = [(item[0], item[1], 0, *item[3:]) for item in items]
    with pytest.raises(ValueError, match='needs training images of two cameras, got one camera'):
        make_engine(datamanager, neighbours='camera')
    with pytest.raises(ValueError, match='k=40 needs a camera of more than k rows'):
        make_engine(neighbours='camera', k_camera=40)
