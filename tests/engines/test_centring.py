"""A test of centred descriptors: torchreid's own test against descriptors that are computed by hand."""

from collections import Counter

import pytest
import torch
import torchreid
from torch.nn import functional as F

from paul_plugin.engines.centring import images_of_means


def descriptors_of(engine, dataset):
    """In one batch; and each one's camera."""
    images = [engine.datamanager.transform_te(torchreid.utils.read_image(item[0])) for item in dataset.data]
    return engine.model(torch.stack(images)), [item[2] for item in dataset.data]


@torch.no_grad()
def by_hand(engine):
    """The mAP of centred descriptors, and of those that are L2-normalised afterwards."""
    engine.model.eval()
    training, cameras = descriptors_of(engine, engine.datamanager.train_loader.dataset)
    means = {
        camera: torch.stack([row for row, other in zip(training, cameras) if other == camera]).mean(0)
        for camera in set(cameras)
        if cameras.count(camera) > 1
    }
    overall = torch.stack([*means.values()]).mean(0)
    parts = engine.test_loader['synthetic_target']
    centred, labels = [], []
    for part in ('query', 'gallery'):
        rows, cameras = descriptors_of(engine, parts[part].dataset)
        rows = torch.stack([row - means.get(camera, overall) for row, camera in zip(rows, cameras)])
        centred.append(rows)
        labels.append([torch.tensor([item[place] for item in parts[part].dataset.data]).numpy() for place in (1, 2)])
    (pids, camids), (gallery_pids, gallery_camids) = labels
    found = []
    for described in (centred, map(F.normalize, centred)):
        distances = torchreid.metrics.compute_distance_matrix(*described, 'euclidean').numpy()
        found.append(torchreid.metrics.evaluate_rank(distances, pids, gallery_pids, camids, gallery_camids)[1])
    return found


@pytest.fixture
def engine(make_engine, make_datamanager):
    """Tested in several batches, of images that come to no equal parts."""
    engine = make_engine(make_datamanager(batch_size_test=7))
    engine.model.train()
    with torch.no_grad():
        engine.model(torch.randn(8, 3, 96, 48))  # BatchNorm has statistics of its own
    return engine


def map_of(engine, **options):
    engine.test(dist_metric='euclidean', **options)
    return engine.results['synthetic_target']['mAP']


def test_it_is_the_map_of_descriptors_by_hand(engine, capsys):
    torch.manual_seed(1)
    plain = map_of(engine)
    state = torch.get_rng_state()
    assert 'Camera centring' not in capsys.readouterr().out
    engine.centre_cameras = True
    centred, normalised = by_hand(engine)
    torch.manual_seed(1)
    assert map_of(engine) == pytest.approx(centred, abs=1e-6)
    assert torch.get_rng_state().equal(state)  # training goes on as after a test without centring
    assert map_of(engine, normalize_feature=True) == pytest.approx(normalised, abs=1e-6)
    assert 'by the mean descriptors of 48 training images of 6 cameras' in capsys.readouterr().out
    assert map_of(engine) != plain
    engine.centre_cameras = False
    assert map_of(engine) == plain


def test_cameras_without_training_images(engine, capsys):
    """And none of them known: one mean for all, which changes no Euclidean distance."""
    plain = map_of(engine)
    engine.centre_cameras = True
    training = engine.datamanager.train_loader.dataset
    items = training.data
    training.data = [item for item in items if item[2] > 1]
    assert map_of(engine) == pytest.approx(by_hand(engine)[0], abs=1e-6)
    out = capsys.readouterr().out
    assert 'are of cameras without a training image' in out
    assert 'single' not in out
    training.data = [(path, pid, 0, *rest) for path, pid, _, *rest in items]
    assert map_of(engine) == pytest.approx(plain, abs=1e-6)
    assert 'or their cameras are unknown' in capsys.readouterr().out


def test_cameras_with_a_single_training_image(engine, capsys):
    """They are named as the user names them, and take off the mean over the other cameras' means."""
    engine.centre_cameras = True
    training = engine.datamanager.train_loader.dataset
    items = training.data
    first = {item[2]: item for item in items}
    training.data = [item for item in items if item[2] > 1] + [first[0], first[1]]
    assert map_of(engine) == pytest.approx(by_hand(engine)[0], abs=1e-6)
    told = "(2 of 6): 1, 2: the mean over the other cameras' means is taken off"
    out = capsys.readouterr().out
    assert f'* cameras with a single training image, which makes no mean {told}' in out
    assert 'without a training image' not in out
    training.data = [*first.values()]
    map_of(engine)
    assert '(6 of 6): 1, 2, 3, 4, 5, 6: the mean over them is taken off' in capsys.readouterr().out


def test_the_images_of_the_means():
    """Of each camera as many, by the seed; in an order of their own."""
    items = [(f'{number:03d}.jpg', 0, number % 4 // 3) for number in range(100)]  # 75 of one camera, 25 of another
    assert images_of_means(items[::-1], seed=1) == items
    some = images_of_means(items[::-1], seed=1, most=20)
    assert Counter(item[2] for item in some) == {0: 10, 1: 10}
    assert some == sorted(some) == images_of_means(items, seed=1, most=20)
    assert some != images_of_means(items, seed=2, most=20)
    few = images_of_means([(f'{number:03d}.jpg', 0, number % 9) for number in range(28)], seed=1, most=10)
    assert {*Counter(item[2] for item in few).values()} == {2}  # one makes no mean
