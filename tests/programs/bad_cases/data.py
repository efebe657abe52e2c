"""Data sets that are not there, are too small, or are not in their layout."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from programs.bad_cases.case import OWN, Case, ends_well
from programs.bad_cases.config import EVIL, SHOWN
from programs.bad_cases.files import TRAIN, data, keep, replace, together, write

CROPS = '-s folder -t folder folder.path HERE/crops '


def crops(*names: str, top: str = 'crops'):
    """A folder of crops: twelve to train on, and others."""

    def prepare(here: Path) -> None:
        for number, name in enumerate((*(f'day/{number}.jpg' for number in range(12)), *names)):
            path = here / top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 256, (48, 24, 3), np.uint8)  # no two are copies
            Image.fromarray(pixels).save(path)

    return prepare


def renamed_crops(here: Path) -> None:
    """Gives each of the crops a camera of its own."""
    for path in list((here / 'crops/day').iterdir()):
        path.rename(path.with_name(f'x_c{path.name}'))


def flat_crops(here: Path) -> None:
    """Makes thermal pictures of the crops: 16 bits, of which they take a few values."""
    for path in list((here / 'crops/day').iterdir()):
        values = 30_000 + np.random.default_rng(int(path.stem)).integers(0, 200, (48, 24))
        path.unlink()
        Image.fromarray(values.astype(np.uint16)).save(path.with_suffix('.png'))


def detected_crops(here: Path) -> None:
    """Names the crops as a detector does the boxes of one picture."""
    for path in list((here / 'crops/day').iterdir()):
        number = int(path.stem) + 1
        path.rename(path.with_name(f'x_c1{number if number > 1 else ""}.jpg'))


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
    Case(
        'crops: persons one level too deep',
        CROPS,
        'query/cam01/person01/1.jpg lies too deep: the folder directly in query names the person, here cam01',
        prepare=crops('query/cam01/person01/1.jpg', 'gallery/cam02/person01/1.jpg'),
    ),
    Case(
        'crops: the run writes into them',
        '-s folder -t folder folder.path HERE/log',
        'the crops in HERE/log are where the run writes to: choose another data.save_dir',
        prepare=crops(top='log'),
    ),
    Case(
        'crops: labels outside of the folder',
        f'{CROPS} folder.labels HERE/labels.csv',
        r"labels.csv, line 2: '../x.jpg' is not in the folder HERE/crops: put the image there",
        prepare=together(crops(), write('labels.csv', 'path,pid,camid\n../x.jpg,anna,1\n')),
    ),
    Case(
        'crops: a camera that not all names tell',
        f"{CROPS} folder.camera '^(gate)'",
        r"folder.camera = '\^\(gate\)': 12 of 12 images in HERE/crops do not match, such as day/0.jpg: correct the ",
        prepare=crops(),
    ),
    Case(
        'crops: the cameras of some',
        f'{CROPS} folder.labels HERE/labels.csv',
        'labels.csv tells the cameras of training images, but not of 11 of 12, such as day/0.jpg: list all of them',
        prepare=together(crops(), write('labels.csv', 'path,pid,camid\nday/1.jpg,,gate\n')),
    ),
    Case(
        'crops: a camera each',
        f'{CROPS} paul.neighbours camera',
        'the numbers after _c make 12 cameras in HERE/crops, of 1 crops in the median, such as day/x_c0.jpg, ',
        prepare=together(crops(), renamed_crops),
    ),
    Case(
        'crops: a camera each, by folder.camera',
        rf"{CROPS} paul.neighbours camera folder.camera '_c(\d+)'",
        'k=1 needs a camera of more than k training images, the largest of 12 has 1: name the cameras otherwise '
        '.folder.camera., or set paul.neighbours all',
        prepare=together(crops(), renamed_crops),
    ),
    Case(
        "crops: a detector's counter",
        CROPS,
        'day/x_c1.jpg, day/x_c12.jpg, day/x_c13.jpg seem to be the boxes of one picture, counted by a detector: name ',
        prepare=together(crops(), detected_crops),
    ),
    Case(
        'crops: thermal pictures that take a small part of 16 bits',
        CROPS,
        'crops: 12 of 12 pictures have no contrast, such as day/0.png, .*: they are grey ones of 16 bits .*: data.str',
        prepare=together(crops(), flat_crops),
    ),
    Case(
        'crops: persons whose numbers a spreadsheet has rounded',
        f'{CROPS} folder.labels HERE/labels.csv',
        r"labels.csv, line 2: pid '1.23457E\+11' is a number that a data frame or a spreadsheet has rounded",
        prepare=together(crops(), write('labels.csv', 'path,pid,camid\nday/1.jpg,1.23457E+11,1\n')),
    ),
    Case(
        'crops: labels in GBK',
        f'{CROPS} folder.labels HERE/labels.csv',
        'labels.csv: it is not UTF-8 text, nor UTF-16: save it as UTF-8',
        prepare=together(crops(), write('labels.csv', 'path,pid,camid\nday/1.jpg,安娜,1\n'.encode('gbk'))),
    ),
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
