"""The picture of positives: images, and those that PEDAL pulls nearer to them, camera by camera."""

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image
from torch import Tensor

from ..data.images import read_image
from ..method.mutual_neighbours import NONE
from .sheet import Cell, Heading, sheet, to_height


class Positives(NamedTuple):
    """The positives of some images.

    Attributes:
        queries: Q files.
        cameras: names of the C cameras, in the order of the memory bank's rows.
        near: Q x C x up to k files, the nearest first.
    """

    queries: Sequence[str]
    cameras: Sequence[str]
    near: list[list[list[str]]]


def find_positives(positives: Tensor, images: Sequence[str], cameras: Sequence[str], rows: Sequence[int]) -> Positives:
    """The positives of the images in these rows.

    Args:
        positives: (N, C, k) int64, as `MutualNeighbours` or `ReciprocalNeighbours` gives them.
        images: N files, the training images in the order of the rows.
        cameras: C names.
        rows: which images are shown.
    """
    near = [
        [[images[row] for row in camera if row != NONE] for camera in positives[shown].tolist()] for shown in rows
    ]
    return Positives([images[row] for row in rows], cameras, near)


def draw_positives(found: Positives, pixels: int = 160) -> Image.Image:
    """Beside each image its positives in each camera.

    Args:
        found: the positives.
        pixels: height of an image in the picture.

    Raises:
        BadImage: for a file that cannot be read.
    """

    def cell(path: str, caption: str = '') -> Cell:
        return Cell(to_height(read_image(path), pixels), caption)

    rows = []
    for query, by_camera in zip(found.queries, found.near, strict=True):
        named = zip(found.cameras, by_camera, strict=True)
        cells = [cell(path, f'camera {camera}') for camera, paths in named for path in paths]
        rows.append([cell(query), *(cells or [Cell(None, 'none')])])
    width = max(map(len, rows))
    return sheet(
        'Positives, chosen by whole images',
        'Left: training images. Right: their positives, whose patches PEDAL pulls nearer: mutual neighbours, or images '
        'with the same neighbours, as paul.positives says.',
        rows,
        [Heading('image'), Heading('its positives, camera by camera'), *[Heading()] * (width - 2)],
        groups=[1],
    )
