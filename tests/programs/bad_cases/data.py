"""Data sets that are not there, are too small, or are not in their layout."""

import shutil

from programs.bad_cases.case import OWN, Case, ends_well
from programs.bad_cases.files import GALLERY, QUERY, TRAIN, data, keep, replace, write

DATA = [
    Case('unknown data set', '-s market1051', "unknown image data set 'market1051' .did you mean 'market1501'"),
    Case('missing data set', '-s cuhk03', "'cuhk03' is not there: expected the folder SHARED/reid-data/cuhk03"),
    Case(
        'root is a file', '--root HERE/file', 'expected the folder HERE/file/market1501', prepare=write('file', 'text')
    ),
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
    Case('no query images', OWN, 'no query', prepare=data(keep(QUERY, 0))),
    Case('no gallery images', OWN, 'no gallery', prepare=data(keep(GALLERY, 0))),
    Case('no more images than k', 'paul.k 12', 'k=12 needs more than k training images, got 12: lower k'),
    Case('fewer images than a batch', OWN, '5 training images do not make one batch', prepare=data(keep(TRAIN, 5))),
    Case('the same data set twice', '-s market1501 market1501', 'listed twice: .*jpg'),
    ends_well(
        'the same file under two names',
        OWN,
        'Written to',
        prepare=data(replace(TRAIN, lambda path, content: path.symlink_to(path.with_name('0002_c2s1_000005_01.jpg')))),
    ),
]
