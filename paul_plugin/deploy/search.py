"""Finds the images of a gallery that are most like a given one."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from ..data.files import find_images, say_of_runs
from ..data.folder import check_folder
from ..data.images import bad_in_words, check_images
from ..run.trained import Trained
from ..runtime.csv_text import csv_text
from ..runtime.errors import UserError, printable
from ..runtime.names import one_or_more
from .as_tested import described, distances
from .centred import Centring
from .descriptor_file import SUFFIXES, read_descriptors, read_meta
from .fingerprint import check_fingerprint
from .pca import reduce_dimension

COLUMNS = ('query', 'rank', 'file', 'distance', 'known')  # of what is found, as a file


class Found(NamedTuple):
    """What is found for a query, nearest first.

    Attributes:
        query: its file.
        gallery: files.
        distances: of each from the query.
        known: whether each is nearer than a threshold; None without one.
    """

    query: str
    gallery: list[str]
    distances: Sequence[float]
    known: list[bool] | None = None


def model_for(trained: Trained, gallery: str | Path) -> Trained:
    """The model whose descriptors are compared with a gallery: with fewer numbers, if those of a file have fewer.

    Raises:
        UserError: if the file cannot be read, or the model cannot be reduced to its numbers.
    """
    if Path(gallery).suffix not in SUFFIXES:
        return trained
    dim = read_meta(gallery)['dim']
    return trained if dim == trained.model.feature_dim else reduce_dimension(trained, dim)


def read_gallery(trained: Trained, path: str | Path) -> tuple[list[str], Tensor]:
    """A folder of crops, described now, or a file of descriptors (.npz, .parquet) that `paul extract` made.

    Crops that cannot be read, and the pictures of runs in the folder, are passed over, which is said.

    Returns:
        G files and their descriptors, (G, E), of length 1.

    Raises:
        UserError: if there is no image that can be read, or the descriptors are of another model.
    """
    if Path(path).suffix in SUFFIXES:
        check_fingerprint(path, trained)
        return read_descriptors(path)
    top = check_folder(str(path))
    paths, odd = find_images(top)
    say_of_runs(odd, top)
    if not paths:
        raise UserError(f'no image in the folder {printable(path)}: name a folder of crops')
    bad = check_images(paths, decode=True)
    if bad:
        print(
            f'{len(bad)} of {len(paths)} images in {printable(path)} cannot be read and are left out:\n'
            f'{bad_in_words(bad)}'
        )
    paths = [path for path in paths if path not in bad]
    if not paths:
        raise UserError(f'not one image in the folder {printable(path)} can be read: name another folder of crops')
    return paths, described(trained, paths)


def search(
    trained: Trained,
    queries: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    gallery: tuple[Sequence[str], Tensor],
    k: int = 10,
    centring: Centring | None = None,
    threshold: float | None = None,
) -> list[Found]:
    """The k images of a gallery that are nearest to each query, which is left out if it is in the gallery itself.

    Args:
        trained: the model.
        queries: files; one path alone stands for a list of one.
        gallery: G files and their descriptors, (G, E), as `read_gallery` gives them.
        k: how many.
        centring: takes off the means of the gallery's cameras.
        threshold: a distance, such as `visualize.py distances` tells; what is not nearer is called unknown.

    Returns:
        What is found for each query.

    Raises:
        BadImage: for a query that cannot be read.

    Example:
        >>> found = search(trained, ['me.jpg'], read_gallery(trained, 'crops'), threshold=0.3)[0]
        >>> found.gallery[0], found.known[0]
        ('crops/0002_c1s1_000451_03.jpg', True)
    """
    paths, descriptors = gallery
    asked = [os.fspath(query) for query in one_or_more(queries)]
    sought = described(trained, asked)
    if centring is not None:
        descriptors = centring.means.centred(descriptors, centring.cameras)
        sought = centring.means.centred(sought, [centring.camera] * len(asked))
    found = []
    for query, row in zip(asked, distances(trained, sought, descriptors), strict=True):
        file = os.path.realpath(query)
        order = row.argsort(stable=True)[: k + 1].tolist()
        order = [index for index in order if os.path.realpath(paths[index]) != file][:k]
        distance = row[order].clamp(min=0).tolist()  # by rounding, an image is a little less away from itself
        known = None if threshold is None else [each < threshold for each in distance]
        found.append(Found(query, [paths[index] for index in order], distance, known))
    return found


def _rows(found: Sequence[Found]) -> list[dict[str, object]]:
    """A row each: query and file as they were given, rank from 1 on, and whether the threshold knows it, if any."""
    rows: list[dict[str, object]] = []
    for query, gallery, apart, known in found:
        for place, (file, distance) in enumerate(zip(gallery, apart)):
            values = query, place + 1, file, distance, None if known is None else known[place]
            rows.append(dict(zip(COLUMNS, values)))
    return rows


def as_json(found: Sequence[Found]) -> bytes:
    """What was found, for other programs: a list of objects; `known` is null without a threshold."""
    return json.dumps(_rows(found), indent=1).encode()


def as_csv(found: Sequence[Found]) -> bytes:
    """A table with a header; `known` is true, false or, without a threshold, empty. A name's bytes stay as they are."""
    rows = ([*told, '' if known is None else str(known).lower()] for *told, known in map(dict.values, _rows(found)))
    return csv_text([COLUMNS, *rows]).encode(errors='surrogateescape')
