"""Images as a program gives them: each kind is read as the file is, nothing given is changed, the rest is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from paul_plugin.data.given import GivenImages, as_rgb
from paul_plugin.data.images import read_image
from paul_plugin.runtime.errors import UserError


def pixels(image):
    return np.asarray(image)


@pytest.fixture
def turned(tmp_path):
    """A file whose EXIF data say that it lies on its side."""
    noise = np.random.default_rng(0).integers(0, 256, (20, 10, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise).save(tmp_path / 'turned.png', exif=exif)
    return tmp_path / 'turned.png'


def test_each_kind_is_read_as_its_file(turned):
    expected = pixels(read_image(str(turned)))
    assert expected.shape == (10, 20, 3)
    with Image.open(turned) as opened:
        for given in (str(turned), turned, opened, expected, expected[:, ::-1][:, ::-1]):
            assert np.array_equal(pixels(as_rgb(given)), expected)
        assert opened.size == (10, 20)  # as it was
    grey = Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20) * 100)
    grey.save(turned.with_name('grey.png'))
    assert np.array_equal(pixels(as_rgb(grey)), pixels(read_image(str(turned.with_name('grey.png')))))


def test_one_alone_is_a_list_of_one(turned):
    array = pixels(read_image(str(turned)))
    for given in (str(turned), turned, Image.fromarray(array), array):
        assert len(GivenImages(given, np.asarray)) == 1
    assert len(GivenImages(np.stack([array, array]), np.asarray)) == 2
    assert len(GivenImages(iter([array, str(turned)]), np.asarray)) == 2
    assert np.array_equal(GivenImages(array, np.asarray)[0], array)


@pytest.mark.parametrize(
    ('given', 'what'),
    [
        (np.zeros((9, 9, 3)), 'number 1 is a ndarray of float64 and shape (9, 9, 3): give a path'),
        (np.zeros((9, 9), np.uint8), 'of uint8 and shape (9, 9)'),
        (np.zeros((3, 9, 9), np.uint8), 'of uint8 and shape (3, 9, 9)'),
        (torch.zeros(9, 9, 3), 'is a Tensor of torch.float32'),
        (b'a.jpg', 'is a bytes'),
        (None, 'is a NoneType'),
        ('no\nwhere.jpg', r"bad image 'no\nwhere.jpg': there is no such file"),
        (Image.new('RGB', (3, 9)), 'bad image number 1: it is 3x9 pixels, no crop of a person'),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(given, what):
    with pytest.raises(UserError) as error:
        GivenImages([np.zeros((9, 9, 3), np.uint8), given], np.asarray)[1]
    assert what in str(error.value)
    assert '\n' not in str(error.value)


def test_half_a_file_that_is_open(turned):
    half = Path('half.png')
    half.write_bytes(turned.read_bytes()[:400])
    with Image.open(half) as opened, pytest.raises(UserError, match='bad image number 0: it is damaged'):
        as_rgb(opened)
