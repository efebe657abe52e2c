"""What makes the files of a case: good ones are copied and changed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

TRAIN, QUERY = 'bounding_box_train', 'query'
FOLDER = 'reid-data/market1501/Market-1501-v15.09.15'


def together(*steps: Callable[[Path], object]) -> Callable[[Path], None]:
    def prepare(here: Path) -> None:
        for step in steps:
            step(here)

    return prepare


def write(name: str, content: str | bytes) -> Callable[[Path], object]:
    def prepare(here: Path) -> None:
        text = content.replace('HERE', str(here)).encode() if isinstance(content, str) else content
        (here / name).write_bytes(text)

    return prepare


def copy(name: str) -> Callable[[Path], object]:
    """Copies a folder of SHARED."""
    return lambda here: shutil.copytree(here.parent / 'shared' / name, here / name)


def data(step: Callable[[Path], object]) -> Callable[[Path], None]:
    """Copies the data set and changes it; the case needs `--root HERE/reid-data`."""
    return together(copy('reid-data'), lambda here: step(here / FOLDER))


def replace(part: str, *makers: Callable[[Path], object]) -> Callable[[Path], None]:
    """Puts bad files in the place of a part's first images."""

    def change(images: Path) -> None:
        for path, make in zip(sorted((images / part).iterdir()), makers):
            content = path.read_bytes()
            path.unlink()
            make(path, content)

    return change


def damaged_png(path: Path, content: bytes) -> None:
    """Good at its start and its end."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 24, 3), np.uint8))
    image.save(path, 'PNG')
    good = path.read_bytes()
    middle = len(good) // 2
    path.write_bytes(good[:middle] + bytes(200) + good[middle + 200 :])


def unreadable(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0)


def change_checkpoint(change: Callable[[dict], object]) -> Callable[[Path], None]:
    """Makes HERE/changed.pth of the shared run's first checkpoint."""

    def prepare(here: Path) -> None:
        checkpoint = torch.load(here.parent / 'shared/log/model/model.pth.tar-1', weights_only=True)
        checkpoint = change(checkpoint) or checkpoint
        checkpoint['config'] = checkpoint.get('config', '').replace('HERE', str(here))  # for CANARY
        torch.save(checkpoint, here / 'changed.pth')

    return prepare


def cut(name: str, kept: float) -> Callable[[Path], None]:
    def prepare(here: Path) -> None:
        os.truncate(here / name, int((here / name).stat().st_size * kept))

    return prepare
