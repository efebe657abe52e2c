"""A trained model and a few crops, as most tests of this room take them."""

import shutil

import pytest


@pytest.fixture(scope='module')
def trained(make_trained):
    return make_trained()


@pytest.fixture
def dozen(rendered, tmp_path):
    """A folder of 12 images."""
    folder = tmp_path / 'crops'
    folder.mkdir()
    for place, path in enumerate(sorted(rendered.rglob('query/*.jpg'))[:12]):
        shutil.copy(path, folder / f'{place:02d}.jpg')
    return folder
