"""Surrogate positives: one transformation an image, and the pair that torchreid's loaders give."""

import random

import numpy as np
import pytest
import torch
import torchreid
from PIL import Image
from torchvision import transforms as T

from paul_plugin import SurrogatePositive
from paul_plugin.host.data import transform_made_by
from paul_plugin.method.surrogate import PairTransform


@pytest.fixture(scope='module')
def image():
    """A smooth colour picture: each kind of transformation leaves another trace on it."""
    y, x = np.mgrid[0:128, 0:64]
    return Image.fromarray(np.stack([2 * y, 4 * x, 128 + x - y], 2).clip(0, 255).astype(np.uint8))


def test_one_transformation_at_a_time(image):
    """With two kinds switched off, what is left is either the third or the image itself."""
    untouched = image.tobytes()
    for name, options in {
        'rotation': {'crop': (1.0, 1.0), 'jitter': 0.0},
        'crop': {'rotation': 0.0, 'jitter': 0.0},
        'colour': {'crop': (1.0, 1.0), 'rotation': 0.0},
    }.items():
        changed = sum(SurrogatePositive(**options)(image).tobytes() != untouched for _ in range(300))
        assert 70 < changed < 130, name  # one third, each


def test_colour_moves_one_property_within_its_range(image):
    grey = Image.new('RGB', (8, 8), (100, 100, 100))
    values = [SurrogatePositive((1.0, 1.0), 0.0, 0.2)(grey).getpixel((0, 0)) for _ in range(300)]
    assert all(r == g == b for r, g, b in values)  # on grey, contrast and saturation change nothing
    assert min(values)[0] < 85
    assert all(80 <= r <= 120 for r, _, _ in values)


def test_crop_keeps_70_to_95_percent():
    """Each pixel holds its own position, so the corners of the result tell what was kept."""
    y, x = np.mgrid[0:256, 0:256]
    image = Image.fromarray(np.stack([y, x, 0 * x], 2).astype(np.uint8))
    shares = []
    while len(shares) < 100:
        result = np.asarray(SurrogatePositive(rotation=0.0, jitter=0.0)(image)).astype(float)
        share = np.ptp(result[:, 128, 0]) * np.ptp(result[128, :, 1]) / 255**2
        if share < 0.999:
            shares.append(share)
    assert 0.68 < min(shares) < 0.75
    assert 0.90 < max(shares) < 0.97


def test_loader_gives_two_batches(make_datamanager):
    datamanager = make_datamanager()
    batch = next(iter(datamanager.train_loader))
    images, surrogates = batch['img']
    assert images.shape == surrogates.shape == (10, 3, 96, 48)
    assert not images.equal(surrogates)
    assert next(iter(datamanager.test_loader['synthetic_target']['query']))['img'].dim() == 4


def test_pair_shares_the_flip(rendered, image):
    """Without a surrogate transformation both are the same image, flipped or not."""
    surrogate = SurrogatePositive((1.0, 1.0), 0.0, 0.0)
    with transform_made_by('surrogate_positive', lambda *stages: PairTransform(*stages, surrogate)):
        manager = torchreid.data.ImageDataManager(
            root=str(rendered),
            sources='synthetic_target',
            transforms=['random_flip', 'random_crop', 'surrogate_positive'],
        )
    pairs = [manager.transform_tr(image) for _ in range(20)]
    assert all(real.equal(surrogate) for real, surrogate in pairs)
    assert len({real.numpy().tobytes() for real, _ in pairs}) > 2


def test_random_erase_goes_on_working(make_datamanager, image):
    manager = make_datamanager(transforms=['surrogate_positive', 'random_erase'])
    pairs = [manager.transform_tr(image) for _ in range(20)]
    assert len({real.numpy().tobytes() for real, _ in pairs}) > 2


def test_sequence_applies_all(image):
    """As in the release: no surrogate keeps its colours."""
    surrogates = [SurrogatePositive(hue=0.1, sequence=True)(image) for _ in range(30)]
    assert all(surrogate.size == image.size for surrogate in surrogates)
    plain = [SurrogatePositive((1.0, 1.0), 0.0, 0.2, 0.1, sequence=True)(image) for _ in range(30)]
    changed = [np.asarray(surrogate, float) - np.asarray(image, float) for surrogate in plain]
    assert all(np.abs(difference).mean() > 0.2 for difference in changed)
    with pytest.raises(ValueError, match='hue'):
        SurrogatePositive(hue=0.1)


def test_single_transformations(image):
    """Alone, each is what is drawn every time; with none the surrogate is the image itself."""
    untouched = image.tobytes()
    for names, options in {
        ('crop',): {'rotation': 0.0, 'jitter': 0.0},
        ('rotation',): {'crop': (1.0, 1.0), 'jitter': 0.0},
        ('colour',): {'crop': (1.0, 1.0), 'rotation': 0.0},
        (): {},
    }.items():
        for sequence in (False, True):
            draw = SurrogatePositive(**options, sequence=sequence, transforms=names)
            changed = sum(draw(image).tobytes() != untouched for _ in range(30))
            assert changed >= 28 if names else changed == 0, names
    with pytest.raises(ValueError, match="got 'flip'"):
        SurrogatePositive(transforms=['crop', 'flip'])
    one = {'crop', 'colour'}
    changed = sum(SurrogatePositive(rotation=0.0, transforms=one)(image).tobytes() != untouched for _ in range(30))
    assert changed >= 28  # two of the three, and never the third, which would change nothing


def test_the_choice_of_all_draws_as_before(image):
    """The draws of the version without the choice, written out: Python's generator picks, torch's sets the strength."""
    ours = SurrogatePositive(transforms=['colour', 'rotation', 'crop'])
    colours = [T.ColorJitter(**{name: 0.2}) for name in ('brightness', 'contrast', 'saturation')]
    rotate = T.RandomRotation(10.0, interpolation=T.InterpolationMode.BILINEAR)
    before = T.RandomChoice([ours._crop, rotate, T.RandomChoice(colours)])
    results = []
    for draw in (ours, before):
        random.seed(3)
        torch.manual_seed(3)
        results.append([draw(image).tobytes() for _ in range(20)])
    assert results[0] == results[1]
