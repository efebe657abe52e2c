"""How crops look, reduced to a few pixels: near-copies, one picture in two files, and pictures without contrast."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from ..runtime import processes
from .images import BadImage, is_grey16, read_image, stretched

_WIDTH, _HEIGHT = 8, 16  # pixels of a reduced picture
# A distance is the root of the mean square difference of reduced pixels, over the spread of the two pictures' values.
_SAME = 0.1  # of one picture in two files: JPEG of quality 30 moved 384 of 400 real crops by less than 0.09
# Of two moments of one person, at 4 x 8 pixels, which a box that shakes moves less: of 12,936 real crops a second
# apart 0.2 % are nearer, all of them the same person; at 0.3 8 % of these pairs are two people.
_NEAR = 0.25
_LEAST_CONTRAST = 4.0  # of values from 0 to 255; the least of the same real crops is 16, of rendered ones 12
_BLOCK = 512  # pictures that are compared with all others at a time
_THREADS = 8  # they wait for a network disk together
_CHUNK = 64  # files a thread reads in one go
_MANY = 2000  # from here on a bar is shown: they take a second on one core


class Looks(NamedTuple):
    """Pictures, reduced.

    Attributes:
        row: path -> its row in `pixels`; of those alone that can be read.
        pixels: (N, 16, 8, 3), float32, RGB from 0 to 255.
        contrast: (N,), how far a picture's pixels are from its mean colour, as a root of mean squares.
        grey16: paths of the grey ones of 16 bits.
    """

    row: dict[str, int]
    pixels: NDArray[np.float32]
    contrast: NDArray[np.float32]
    grey16: frozenset[str]

    def of(self, paths: Iterable[str]) -> list[str]:
        """Those of some paths that can be compared: that can be read, and have contrast."""
        return [path for path in paths if path in self.row and self.contrast[self.row[path]] >= _LEAST_CONTRAST]

    def without_contrast(self, paths: Iterable[str]) -> list[str]:
        """Those of some paths that are of one grey."""
        return [path for path in paths if path in self.row and self.contrast[self.row[path]] < _LEAST_CONTRAST]


def look_at(paths: Sequence[str], stretch: bool = False) -> Looks:
    """Reads pictures at a fraction of their size, once; those that cannot be read are left out.

    Args:
        paths: the files.
        stretch: grey pictures of 16 bits are scaled as `stretched` does it.
    """

    def read(chunk: Sequence[str]) -> list[tuple[NDArray[np.uint8] | None, bool]]:
        return [_reduced(path, stretch) for path in chunk]

    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    found: list[tuple[NDArray[np.uint8] | None, bool]] = []
    quiet = len(paths) < _MANY or not processes.is_first()
    bar = tqdm(total=len(paths), desc='Looking at the crops', unit=' images', mininterval=1, disable=quiet)
    with ThreadPoolExecutor(_THREADS) as pool, bar:
        for part in pool.map(read, chunks):
            found += part
            bar.update(len(part))
    good = [place for place, (pixels, _) in enumerate(found) if pixels is not None]
    rows = {paths[place]: row for row, place in enumerate(good)}
    pixels = np.array([found[place][0] for place in good], np.float32).reshape(-1, _HEIGHT, _WIDTH, 3)
    contrast = np.sqrt(np.square(pixels - pixels.mean(axis=(1, 2), keepdims=True)).mean(axis=(1, 2, 3)))
    return Looks(rows, pixels, contrast, frozenset(paths[place] for place in good if found[place][1]))


def _reduced(path: str, stretch: bool) -> tuple[NDArray[np.uint8] | None, bool]:
    """(16, 8, 3), or None of what cannot be read; whether it is grey of 16 bits."""
    try:
        image = read_image(path, at_least=(2 * _WIDTH, 2 * _HEIGHT))
    except BadImage:
        return None, False
    grey16 = is_grey16(image)
    image = stretched(image) if stretch else image
    return np.asarray(image.resize((_WIDTH, _HEIGHT), Image.Resampling.BOX)), grey16


def find_near_copies(looks: Looks, paths: Sequence[str]) -> dict[str, str]:
    """Pictures that nearly equal one before them, and which: a person who was saved in every frame of a video.

    Each is near the one that is named for it, which itself is near none before it: of a track that goes on, one after
    the other stands for the rest.

    Args:
        looks: of the pictures.
        paths: those of one camera, in order.

    Returns:
        Path -> the path that can stand for it.
    """
    paths = looks.of(paths)
    if not paths:
        return {}
    pixels = _pooled(looks, paths)
    left, right = _terms(pixels, pixels.std(axis=1), _NEAR)
    copies, kept = {}, np.zeros(0, np.int64)
    for start in range(0, len(paths), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(paths)))
        if len(kept):
            scores = left[block] @ right[kept].T
            for row in np.flatnonzero(scores.min(axis=1) <= 0):
                copies[paths[block[row]]] = paths[kept[scores[row].argmin()]]
            block = block[scores.min(axis=1) > 0]
        near, own = left[block] @ right[block].T <= 0, np.zeros(len(block), bool)
        for row, place in enumerate(block):
            before = np.flatnonzero(near[row] & own)
            if len(before):
                copies[paths[place]] = paths[block[before[0]]]
            own[row] = not len(before)
        kept = np.concatenate([kept, block[own]])
    return copies


def same_pictures(looks: Looks, first: Sequence[str], others: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The pairs of files, one of each list, that show the same picture: of another format, quality or size."""
    first, others = looks.of(first), looks.of(others)
    if not first or not others:
        return
    spread = looks.pixels.std(axis=(1, 2, 3))
    of_first, of_others = (spread[[looks.row[path] for path in paths]] for paths in (first, others))
    # Pooled, a difference only gets smaller: what is far at 4 x 8 pixels is far.
    left, _ = _terms(_pooled(looks, others), of_others, _SAME)
    _, right = _terms(_pooled(looks, first), of_first, _SAME)
    for start in range(0, len(others), _BLOCK):
        for row, column in np.argwhere(left[start : start + _BLOCK] @ right.T <= 0):
            one, other = first[column], others[start + row]
            difference = looks.pixels[looks.row[one]] - looks.pixels[looks.row[other]]
            if one != other and np.square(difference).mean() <= _SAME**2 * of_first[column] * of_others[start + row]:
                yield one, other


def _pooled(looks: Looks, paths: Sequence[str]) -> NDArray[np.float32]:
    """(n, 96): pictures at 4 x 8 pixels, from -128 to 128."""
    pixels = looks.pixels[[looks.row[path] for path in paths]]
    pooled = pixels.reshape(len(paths), _HEIGHT // 2, 2, _WIDTH // 2, 2, 3).mean(axis=(2, 4))
    return pooled.reshape(len(paths), 3 * (_HEIGHT // 2) * (_WIDTH // 2)) - 128


def _terms(
    pixels: NDArray[np.float32], spread: NDArray[np.float32], limit: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rows whose product tells how far a pair is beyond the limit: one product, and nothing else, for all pairs.

    |a - b|^2 - limit^2 n s_a s_b = (-2 a, |a|^2, 1, -limit^2 n s_a) (b, 1, |b|^2, s_b)

    Args:
        pixels: (N, n).
        spread: (N,), standard deviations.
        limit: of the distance.

    Returns:
        (N, n + 3) of the first of a pair, and of the second.
    """
    squares, one, spread = np.square(pixels).sum(axis=1)[:, None], np.ones((len(pixels), 1)), spread[:, None]
    scaled = -(limit**2) * pixels.shape[1] * spread
    left, right = [-2 * pixels, squares, one, scaled], [pixels, one, squares, spread]
    return np.hstack(left).astype(np.float32), np.hstack(right).astype(np.float32)
