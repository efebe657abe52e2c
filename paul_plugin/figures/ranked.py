"""The picture of a ranking: queries and the gallery images nearest to them, right and wrong framed."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ..data.ids import camera_name, person_name
from ..data.images import read_image
from .sheet import GREY, RIGHT, WRONG, Cell, Colour, Heading, sheet, to_height


class Ranked(NamedTuple):
    """A query and the gallery images that are ranked for it, nearest first.

    Attributes:
        query: its file.
        about: what is known of it, for the caption.
        gallery: files, at least as many as are drawn.
        captions: what is said of each.
        right: whether each shows the query's person; None where that is not known.
        precision: average precision of the query; None where it is not known, or the gallery has nothing right.
        distances: from the query, of each.
        known: whether each is nearer than a threshold; None without one.
    """

    query: str
    about: str
    gallery: list[str]
    captions: list[str]
    right: list[bool] | None = None
    precision: float | None = None
    distances: Sequence[float] = ()
    known: list[bool] | None = None


def is_known(distances: Sequence[float], threshold: float | None) -> list[bool] | None:
    """Which of some distances are below a threshold; None without one."""
    return None if threshold is None else [distance < threshold for distance in distances]


def caption(distance: float, known: bool | None, words: str) -> str:
    """What is said of a gallery image: its distance, whether that is beyond the threshold, and more."""
    return f'{distance:.3f}{" unknown" if known is False else ""}\n{words}'


def ranking(
    distances: Tensor, pid: int, camid: int, gallery_pids: Tensor, gallery_camids: Tensor
) -> tuple[Tensor, Tensor]:
    """One query's gallery as torchreid's evaluation ranks it, without the same person from the same camera.

    Args:
        distances: (G,), from the query.
        pid, camid: person and camera of the query.
        gallery_pids, gallery_camids: (G,), those of the gallery images.

    Returns:
        (R,) int64, the gallery images that count, nearest first; (R,) bool, whether each shows the person.
    """
    order = distances.argsort(stable=True)
    same = gallery_pids[order] == pid
    counts = ~(same & (gallery_camids[order] == camid))
    return order[counts], same[counts]


def average_precision(right: Tensor) -> float | None:
    """Average precision of one ranking: (R,) bool -> from 0 to 1; None where nothing is right, which does not count.

    Example:
        >>> average_precision(torch.tensor([True, False, True]))
        0.8333333333333333
    """
    places = right.nonzero()[:, 0].double()
    if len(places) == 0:
        return None
    return (torch.arange(1, len(places) + 1) / (places + 1)).mean().item()


def ranked_items(
    distances: Tensor,
    queries: Sequence[tuple],
    gallery: Sequence[tuple],
    k: int,
    dataset: object = None,
    threshold: float | None = None,
) -> list[Ranked]:
    """Labelled queries and their first k gallery images, ready to be drawn.

    Args:
        distances: (Q, G).
        queries, gallery: torchreid's items, (path, pid, camid, ...).
        k: gallery images a query.
        dataset: torchreid's, of the items, whose persons and cameras may have names.
        threshold: a distance; what is not nearer is called unknown.
    """

    def who(item: tuple) -> str:
        return f'person {person_name(dataset, item[1])}\ncamera {camera_name(dataset, item[2])}'

    pids, camids = (torch.tensor([item[place] for item in gallery]) for place in (1, 2))
    found = []
    for row, query in zip(distances, queries, strict=True):
        order, right = ranking(row, query[1], query[2], pids, camids)
        precision = average_precision(right)
        about = 'not in the gallery' if precision is None else f'AP {100 * precision:.0f} %'
        first = order[:k].tolist()
        of_first = row[order[:k]].clamp(min=0).tolist()  # by rounding, an image is a little less away from itself
        known = is_known(of_first, threshold)
        captions = [
            caption(distance, known[place] if known else None, who(gallery[index]))
            for place, (index, distance) in enumerate(zip(first, of_first))
        ]
        files = [gallery[index][0] for index in first]
        told = right[:k].tolist(), precision, of_first, known
        found.append(Ranked(query[0], f'{about}\n{who(query)}', files, captions, *told))
    return found


def draw_ranking(title: str, explanation: str, found: Sequence[Ranked], pixels: int = 160) -> Image.Image:
    """Rows of a query and its gallery images, nearest first.

    Raises:
        BadImage: for a file that cannot be read.
    """

    def picture(path: str) -> Image.Image:
        return to_height(read_image(path), pixels)

    rows = []
    for each in found:
        frames: list[Colour | None] = [None] * len(each.gallery)
        if each.right is not None:
            frames = [RIGHT if right else WRONG for right in each.right]
        elif each.known is not None:
            frames = [None if known else GREY for known in each.known]
        rows.append(
            [Cell(picture(each.query), each.about), *map(Cell, map(picture, each.gallery), each.captions, frames)]
        )
    labelled = any(each.right is not None for each in found)
    legend = [Heading('the same person', RIGHT), Heading('another person', WRONG)] if labelled else []
    if any(each.known is not None for each in found):
        legend.append(Heading('unknown: beyond the threshold', None if labelled else GREY))
    return sheet(
        title,
        explanation,
        rows,
        [Heading('query'), *(Heading(str(place)) for place in range(1, max(map(len, rows))))],
        groups=[1],
        legend=legend,
    )


def draw_labelled(target: str, found: Sequence[Ranked], pixels: int = 160) -> Image.Image:
    """The picture of an evaluation's rankings, made by `ranked_items`.

    Raises:
        BadImage: for a file that cannot be read.
    """
    return draw_ranking(
        f'{target}: queries and what is found for them',
        'Beside each query, the gallery images nearest to it, with their distance. As in the evaluation, '
        'images of the same person from the same camera are left out. AP: average precision of the query.',
        found,
        pixels,
    )


def draw_search(
    found: Sequence[Ranked], total: int, metric: str, pixels: int = 160, threshold: float | None = None
) -> Image.Image:
    """The picture of what a search without labels found.

    Args:
        found: the queries.
        total: images of the gallery.
        metric: name of the distance.
        pixels: height of an image in the picture.
        threshold: what it was searched with.

    Raises:
        BadImage: for a file that cannot be read.
    """
    beyond = '' if threshold is None else f' At {threshold:g} or more it is called unknown.'
    return draw_ranking(
        'The images most like the query',
        f'Beside each query, the images nearest to it among {total}, with their {metric} distance.{beyond} Who they '
        'show was not told.',
        found,
        pixels,
    )
