"""Data sets that are not there, are too small, or are not in their layout."""

import os
import re
import shutil
from pathlib import Path

from programs.bad_cases.case import OWN, Case, ends_well
from programs.bad_cases.config import EVIL, SHOWN
from programs.bad_cases.files import GALLERY, QUERY, TRAIN, data, keep, picture, replace, together

CROPS = '-s folder -t folder folder.path HERE/crops '
TESTED = (QUERY, GALLERY)


def renamed(old: str, new: str, *parts: str):
    """Renames the images of some parts; `old` is a regular expression."""

    def change(images: Path) -> None:
        for part in parts:
            for path in list((images / part).iterdir()):
                path.rename(path.with_name(re.sub(old, new, path.name)))

    return data(change)


def crops(*names: str, top: str = 'crops'):
    """A folder of crops: twelve to train on, and others."""

    def prepare(here: Path) -> None:
        for number, name in enumerate((*(f'day/{number}.jpg' for number in range(12)), *names)):
            path = here / top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            picture('RGB', (24 + number, 48), 'JPEG')(path, b'')  # no two are copies

    return prepare


def renamed_crops(here: Path) -> None:
    """Gives each of the crops a camera of its own."""
    for path in list((here / 'crops/day').iterdir()):
        path.rename(path.with_name(f'x_c{path.name}'))


DATA = [
    Case('missing data set', '-s cuhk03', "'cuhk03' is not there: expected the folder SHARED/reid-data/cuhk03"),
    Case(
        'empty data set folder',
        OWN,
        'cannot read the data of market1501',
        prepare=lambda here: (here / 'reid-data/market1501').mkdir(parents=True),
    ),
    Case(
        'file name that is not in the layout',
        OWN,
        'holiday.jpg',
        prepare=data(lambda images: shutil.copy(next((images / TRAIN).iterdir()), images / TRAIN / 'holiday.jpg')),
    ),
    Case('no training images', OWN, 'no train', prepare=data(keep(TRAIN, 0))),
    Case(
        'one camera',
        OWN,
        'market1501: none of 4 queries has a true match, an image of the same person from another camera, in the gal',
        prepare=renamed(r'_c\d', '_c1', *TESTED),
    ),
    Case(
        'a root with brackets',
        "--root 'HERE/data [2024]'",
        r'torchreid takes \*, \? and \[ in HERE/data \[2024\]/market1501 for a pattern',
        prepare=together(data(lambda images: None), lambda here: os.rename(here / 'reid-data', here / 'data [2024]')),
    ),
    Case(
        'a name that forges a line',
        f'-s folder -t folder "folder.path" "HERE/{EVIL}"',
        f'^error: no image to train on in the folder {SHOWN}$',
        prepare=lambda here: (here / EVIL).mkdir(),
    ),
    Case(
        'crops: the run writes into them',
        '-s folder -t folder folder.path HERE/log',
        'the crops in HERE/log are where the run writes to: choose another data.save_dir',
        prepare=crops(top='log'),
    ),
    Case(
        'crops: a camera each',
        f'{CROPS} paul.neighbours camera',
        "k=1 needs a camera of more than k training images, the largest of 12 has 1: lower k_camera or k, or set",
        prepare=together(crops(), renamed_crops),
    ),
    Case('the same data set twice', '-s market1501 market1501', 'listed twice: .*jpg'),
    ends_well(
        'the same file under two names',
        OWN,
        'Written to',
        prepare=data(replace(TRAIN, lambda path, content: path.symlink_to(path.with_name('0002_c2s1_000005_01.jpg')))),
    ),
]
