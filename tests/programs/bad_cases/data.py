"""Data sets that are not there, are too small, or are not in their layout."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from programs.bad_cases.case import OWN, Case, ends_well
from programs.bad_cases.files import TRAIN, data, replace

CROPS = '-s folder -t folder folder.path HERE/crops '


def crops(*names: str, day: str = 'day/'):
    """A folder of crops: twelve to train on, and others."""

    def prepare(here: Path) -> None:
        for number, name in enumerate((*(f'{day}{number}.jpg' for number in range(12)), *names)):
            path = here / 'crops' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 256, (48, 24, 3), np.uint8)  # no two are copies
            Image.fromarray(pixels).save(path)

    return prepare


CASES = [
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
    Case(
        'crops: a camera each',
        rf"{CROPS} paul.neighbours camera folder.camera '_c(\d+)'",
        'k=1 needs a camera of more than k training images, the largest of 12 has 1: name the cameras otherwise '
        '.folder.camera., or set paul.neighbours all',
        prepare=crops(day='day/x_c'),
    ),
    ends_well(
        'the same file under two names',
        OWN,
        'Written to',
        prepare=data(replace(TRAIN, lambda path, content: path.symlink_to(path.with_name('0002_c2s1_000005_01.jpg')))),
    ),
]
