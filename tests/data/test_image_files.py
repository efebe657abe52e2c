"""What the system does to a crop on disk, and how the refusal of one reaches the user."""

import os
import pickle

import numpy as np
import pytest
from helpers.images import ADVICE, accepts, encode, picture, refusal, write
from torch.utils.data import DataLoader

from paul_plugin.data.images import BadImage, check_images, read_image
from paul_plugin.runtime.errors import UserError

JPEG, GIF = encode(picture(), 'JPEG', quality=90), encode(picture(), 'GIF')


def test_what_is_no_file(tmp_path):
    folder, missing, link, loop, pipe = (str(tmp_path / name) for name in ('x.jpg', 'no.jpg', 'link', 'loop', 'pipe'))
    os.mkdir(folder)
    os.symlink(missing, link)
    os.symlink(loop, loop)
    os.mkfifo(pipe)
    expected = {
        folder: 'it is a folder',
        missing: 'there is no such file',
        link: 'it is a link to a file that does not exist',
        loop: 'it cannot be read (Too many levels of symbolic links)',
        pipe: 'it is a pipe or a device, not a file',
        '/dev/zero': 'it is a pipe or a device, not a file',
    }
    assert check_images(expected) == check_images(expected, decode=True) == expected
    assert all(reason in refusal(path) for path, reason in expected.items())


def test_a_link_to_a_good_file_is_read(tmp_path):
    os.symlink(write(tmp_path, 'good.jpg', JPEG), tmp_path / 'link.jpg')
    assert read_image(str(tmp_path / 'link.jpg')).size == (64, 128)
    assert check_images([str(tmp_path / 'link.jpg')]) == {}


def test_no_permission_is_told_from_damage(tmp_path, monkeypatch):
    """With the system's error made by hand, as root may read everything."""
    path = write(tmp_path, 'secret.jpg', JPEG)

    def refuse(*args, **options):
        raise PermissionError(13, 'Permission denied', path)

    monkeypatch.setattr('builtins.open', refuse)
    assert 'no permission to read it' in refusal(path)
    assert check_images([path]) == {path: 'no permission to read it'}


def test_reading_leaves_no_file_open(tmp_path):
    good, bad = write(tmp_path, 'good.gif', GIF), write(tmp_path, 'bad.jpg', JPEG[:-100])
    before = len(os.listdir('/dev/fd'))
    images = [read_image(good) for _ in range(5)]
    assert len(check_images([good, bad] * 5)) == 1
    assert not any(accepts(bad) for _ in range(5))
    assert len(os.listdir('/dev/fd')) == before
    assert len(images) == 5


def test_a_name_with_a_line_break_gives_one_line(tmp_path):
    with pytest.raises(BadImage) as error:
        read_image(f'{tmp_path}/a\nBadImage: b.jpg')
    assert '\n' not in str(error.value)
    assert str(error.value).endswith(ADVICE)


def test_a_bad_image_survives_pickling(tmp_path):
    error = BadImage(refusal(str(tmp_path / 'no.jpg')))
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(copy, BadImage)
    assert isinstance(copy, UserError)
    assert str(copy) == str(error)


class Crops:
    """A data set of files, for the loader."""

    def __init__(self, paths):
        self.paths = paths

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return np.array(read_image(self.paths[index]))


@pytest.mark.parametrize('workers', [0, 1])
def test_one_line_arrives_from_a_loader(tmp_path, workers):
    good, bad = write(tmp_path, 'good.jpg', JPEG), write(tmp_path, 'bad.jpg', JPEG[:-100])
    message = refusal(bad)
    batches = iter(DataLoader(Crops([good, bad]), num_workers=workers))
    assert next(batches).shape == (1, 128, 64, 3)
    with pytest.raises(BadImage) as error:
        next(batches)
    assert str(error.value) == message
