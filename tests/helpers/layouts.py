"""Moves a rendered data set from Market-1501's layout into that of another benchmark."""

import shutil
from itertools import groupby
from pathlib import Path

from paul_plugin.data.synthetic.render import GALLERY, INNER, QUERY, TRAIN


def words_of(path: Path) -> tuple[str, int, int]:
    """Person, camera and frame number of a name such as 0001_c2s1_000003_01.jpg."""
    pid, camera, frame, _ = path.stem.split('_')
    return pid, int(camera[1]), int(frame)


def as_market1501(folder: Path) -> None:
    """It is in this layout already."""


def as_dukemtmcreid(folder: Path) -> None:
    (folder / INNER).rename(folder / 'DukeMTMC-reID')
    for path in list(folder.rglob('*.jpg')):
        pid, camera, frame = words_of(path)
        path.rename(path.with_name(f'{pid}_c{camera}_f{frame:07d}.jpg'))


def as_msmt17(folder: Path) -> None:
    """Ids restart at 0 in both halves, and text files say which image is which."""
    inner = folder / 'MSMT17_V1'
    lists = {'train': [], 'val': [], 'query': [], 'gallery': []}
    for half, parts in (('train', {TRAIN: 'train'}), ('test', {QUERY: 'query', GALLERY: 'gallery'})):
        paths = sorted((path for part in parts for path in (folder / INNER / part).iterdir()), key=words_of)
        for label, (_, person) in enumerate(groupby(paths, lambda path: words_of(path)[0])):
            (inner / half / f'{label:04d}').mkdir(parents=True)
            names = []
            for index, path in enumerate(person):
                _, camera, frame = words_of(path)
                name = f'{label:04d}/{label:04d}_{index:03d}_{camera:02d}_0303morning_{frame:04d}_0.jpg'
                names.append((parts[path.parent.name], f'{name} {label}\n'))
                path.rename(inner / half / name)
            if half == 'train':  # a person's last image is for validation
                names[-1] = ('val', names[-1][1])
            for split, line in names:
                lists[split].append(line)
    for split, lines in lists.items():
        (inner / f'list_{split}.txt').write_text(''.join(lines))
    shutil.rmtree(folder / INNER)


# data set of torchreid -> moves a rendered folder into its layout
LAYOUTS = {'market1501': as_market1501, 'dukemtmcreid': as_dukemtmcreid, 'msmt17': as_msmt17}
