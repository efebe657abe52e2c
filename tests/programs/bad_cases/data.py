"""Data sets that are not there, are too small, or are not in their layout."""

import shutil

from programs.bad_cases.case import OWN, Case, ends_well
from programs.bad_cases.config import EVIL, SHOWN
from programs.bad_cases.files import TRAIN, data, keep, replace

DATA = [
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
        'a name that forges a line',
        f'-s folder -t folder "folder.path" "HERE/{EVIL}"',
        f'^error: no image to train on in the folder {SHOWN}$',
        prepare=lambda here: (here / EVIL).mkdir(),
    ),
    Case('the same data set twice', '-s market1501 market1501', 'listed twice: .*jpg'),
    ends_well(
        'the same file under two names',
        OWN,
        'Written to',
        prepare=data(replace(TRAIN, lambda path, content: path.symlink_to(path.with_name('0002_c2s1_000005_01.jpg')))),
    ),
]
