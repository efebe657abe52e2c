"""A test by the norms of each camera: torchreid's own test against descriptors that are computed camera by camera."""

import copy

import pytest
import torch
import torchreid

from paul_plugin.engines.camera_norms import batches_of_cameras
from paul_plugin.method.camera_norms import statistics_of

CAMERAS = 2  # so that each has enough images


@pytest.fixture
def engine(make_engine, make_datamanager):
    """Tested in several batches, in each of which cameras are mixed."""
    datamanager = make_datamanager(batch_size_test=7)
    parts = [*datamanager.test_loader['synthetic_target'].values(), datamanager.train_loader]
    for loader in parts:
        loader.dataset.data = [(path, pid, camid % CAMERAS, *rest) for path, pid, camid, *rest in loader.dataset.data]
    return make_engine(datamanager)


def images_of(engine, items):
    return torch.stack([engine.datamanager.transform_te(torchreid.utils.read_image(item[0])) for item in items])


@torch.no_grad()
def by_hand(engine, centred):
    """The mAP of descriptors that each camera's own network gives, an image at a time."""
    training = sorted(engine.datamanager.train_loader.dataset.data)
    networks, means = {}, {}
    for camera in range(CAMERAS):
        own = [item for item in training if item[2] == camera]
        assert len(own) > 1
        networks[camera] = copy.deepcopy(engine.model).eval()
        networks[camera].load_state_dict(statistics_of(engine.model, [images_of(engine, own)]), strict=False)
        means[camera] = networks[camera](images_of(engine, own)).mean(0) * centred
    described, labels = [], []
    for loader in engine.test_loader['synthetic_target'].values():
        items = loader.dataset.data
        rows = [networks[item[2]](images_of(engine, [item]))[0] - means[item[2]] for item in items]
        described.append(torch.stack(rows))
        labels.append([torch.tensor([item[place] for item in items]).numpy() for place in (1, 2)])
    (pids, camids), (gallery_pids, gallery_camids) = labels
    distances = torchreid.metrics.compute_distance_matrix(*described, 'euclidean').numpy()
    return torchreid.metrics.evaluate_rank(distances, pids, gallery_pids, camids, gallery_camids, max_rank=5)[1]


def map_of(engine):
    engine.test(dist_metric='euclidean')
    return engine.results['synthetic_target']['mAP']


@pytest.mark.parametrize('centred', [False, True])
def test_it_is_the_map_of_descriptors_by_hand(engine, capsys, centred):
    plain, model = map_of(engine), engine.model
    before = copy.deepcopy(model.state_dict())
    engine.centre_cameras = centred
    engine.camera_norms = True
    found = map_of(engine)
    assert found == pytest.approx(by_hand(engine, centred), abs=1e-6)
    assert f'Camera norms: by 48 training images of {CAMERAS} cameras' in capsys.readouterr().out
    assert found != plain
    assert engine.model is model
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    engine.centre_cameras = engine.camera_norms = False
    assert map_of(engine) == plain


def test_networks_that_take_too_much_memory_are_not_copied(engine, monkeypatch):
    engine.camera_norms = True
    found, folded = map_of(engine), []
    monkeypatch.setattr('paul_plugin.method.folding.folded', lambda *args: folded.append(args))
    monkeypatch.setattr('paul_plugin.engines.in_test._MOST_BYTES', 0)
    assert map_of(engine) == pytest.approx(found, abs=1e-6)
    assert folded == []


def test_cameras_with_a_single_image_keep_the_model_s_own_norms(engine, capsys):
    plain = map_of(engine)
    training = engine.datamanager.train_loader.dataset
    training.data = [next(item for item in training.data if item[2] == camera) for camera in range(CAMERAS)]
    engine.camera_norms = True
    assert map_of(engine) == plain
    assert "* cameras with a single image keep the model's own norms: 2 of 2" in capsys.readouterr().out


def test_batches_of_cameras():
    items = [('', 0, place % 3) for place in range(90)] + [('', 0, 7)]
    batches = batches_of_cameras(items, size=20)
    assert [*batches] == [0, 1, 2]
    for camera, own in batches.items():
        assert sorted(place for batch in own for place in batch) == [*range(camera, 90, 3)]
        assert [len(batch) for batch in own] == [15, 15]
    assert batches[0][0][:3] == [0, 6, 12]
