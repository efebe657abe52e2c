"""Pictures and folders of pictures for the tests of the data."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from paul_plugin.runtime.errors import UserError

TRAIN, QUERY, GALLERY = (
    f'synthetic_target/Market-1501-v15.09.15/{part}' for part in ('bounding_box_train', 'query', 'bounding_box_test')
)
UNKNOWN_CAMERAS = (
    '  cameras: unknown (name them by folder.camera, a regular expression, or by _c1, _c2, ... in all names)'
)


def picture(path, file_format='JPEG'):
    """A picture of noise, another for every path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng([*os.fsencode(path)]).integers(0, 256, (48, 24, 3), np.uint8)
    Image.fromarray(pixels).save(path, file_format)
    return path


def pictures(top, *names):
    for name in names:
        picture(top / name)
    return top


class Market(NamedTuple):
    """Market-1501's layout: the root that torchreid is given, and the folder of query and the others in it."""

    root: Path
    folder: Path


def market1501(root, people=6, cameras=(1, 2), suffix='jpg', dataset='market1501'):
    """Market-1501's layout with an image of each person from each camera in each part; query is the first camera."""
    folder = root / dataset / 'Market-1501-v15.09.15'
    for first, part in ((1, 'bounding_box_train'), (101, 'query'), (101, 'bounding_box_test')):
        for person in range(first, first + people):
            for camera in cameras[:1] if part == 'query' else cameras:
                number = {'query': 1}.get(part, 2)
                name = f'{person:04d}_c{camera}s1_{person:06d}_{number:02d}.{suffix}'
                picture(folder / part / name, 'PNG' if suffix == 'png' else 'JPEG')
    return Market(root, folder)


def names(paths, top):
    return [os.path.relpath(path, top) for path in paths]


def labelled(items, top):
    return {os.path.relpath(path, top): (pid, camid) for path, pid, camid in items}


def refusal(function, *arguments):
    """The one line of a UserError."""
    with pytest.raises(UserError) as error:
        function(*arguments)
    assert '\n' not in str(error.value)
    return str(error.value)
