"""The observer that writes pictures to TensorBoard: which, when, and that it leaves nothing else changed."""

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from paul_plugin.run.tensorboard import TensorBoardPictures
from paul_plugin.runtime import processes


@pytest.fixture
def engine(make_engine, tmp_path):
    """An engine with a filled memory bank, as it is after an epoch."""
    engine = make_engine()
    engine.fill_memory()
    engine.writer = SummaryWriter(str(tmp_path))
    return engine


def written(engine):
    """Tag -> the steps at which pictures were written."""
    engine.writer.close()
    found = EventAccumulator(engine.writer.log_dir, {'images': 0}).Reload()
    return {tag.removeprefix('pictures/'): [one.step for one in found.Images(tag)] for tag in found.Tags()['images']}


def test_pictures_every_second_epoch(engine):
    before = {name: value.clone() for name, value in engine.model.state_dict().items()}
    modes = [module.training for module in engine.model.modules()]
    state = torch.get_rng_state()
    pictures = TensorBoardPictures(freq=2)
    for epoch in range(5):
        engine.epoch = epoch
        pictures.after_epoch(engine)
    assert written(engine) == {'patches': [2, 4], 'neighbours': [2, 4], 'mining': [2, 4]}
    assert all(value.equal(before[name]) for name, value in engine.model.state_dict().items())
    assert [module.training for module in engine.model.modules()] == modes
    assert torch.get_rng_state().equal(state)


def test_a_share_of_a_bank_has_no_neighbours(engine):
    engine.memory.shard = 0, 48
    engine.epoch = 0
    TensorBoardPictures(freq=1).after_epoch(engine)
    assert written(engine) == {'patches': [1], 'mining': [1]}


def test_without_surrogates_nothing_is_mined(make_engine, make_datamanager, tmp_path):
    engine = make_engine(make_datamanager(transforms=['random_flip']), weight_ipfl=0.0)
    engine.fill_memory()
    engine.writer = SummaryWriter(str(tmp_path))
    engine.epoch = 0
    TensorBoardPictures(freq=1).after_epoch(engine)
    assert written(engine) == {'patches': [1], 'neighbours': [1]}


def test_a_ranking_in_each_test(engine):
    (target,) = engine.datamanager.test_loader
    sizes = [len(engine.datamanager.test_loader[target][part].dataset.data) for part in ('query', 'gallery')]
    engine.epoch = 2
    TensorBoardPictures(freq=5).after_ranking(engine, 0, torch.rand(sizes).numpy())
    assert written(engine) == {f'ranking {target}': [3]}


def test_other_processes_and_closed_writers_write_nothing(engine, monkeypatch):
    engine.epoch = 0
    writer, engine.writer = engine.writer, None
    TensorBoardPictures(freq=1).after_epoch(engine)
    engine.writer = writer
    monkeypatch.setattr(processes, 'is_first', lambda: False)
    TensorBoardPictures(freq=1).after_epoch(engine)
    assert written(engine) == {}
