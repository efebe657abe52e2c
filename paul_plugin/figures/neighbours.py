"""The picture of the memory bank: nearest patches of other images beside nearest whole images, the paper's Figure 3."""

import itertools
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from ..data.descriptors import describe
from ..data.images import read_image
from .patches import outlined, patch_headings, thetas
from .sheet import RIGHT, WRONG, Cell, Heading, palette, sheet, to_height


class Nearest(NamedTuple):
    """The nearest rows of the memory bank.

    Attributes:
        rows: (M + 1, Q, k) int64: by the whole image first, then by each patch; nearest first.
        distances: (M + 1, Q, k), squared; of the whole image the mean over its patches.
    """

    rows: Tensor
    distances: Tensor


def nearest(features: Tensor, bank: Tensor, own: Tensor, k: int, filled: Tensor | None = None) -> Nearest:
    """The k rows of the bank that are nearest to images, by each patch and by the whole image.

    Args:
        features: (Q, M, D), of the images.
        bank: (M, N, D).
        own: (Q,) int64, the images' own rows, which are left out; -1 for an image that has none.
        k: how many; fewer where the bank has no more.
        filled: (N,) bool, the rows that count; None for all.

    Example:
        >>> nearest(features, memory.bank, torch.tensor([-1]), k=5).rows.shape
        torch.Size([7, 1, 5])
    """
    mode = 'donot_use_mm_for_euclid_dist'  # the product form would round near neighbours together
    each = torch.stack([torch.cdist(features[:, m], rows, compute_mode=mode).square() for m, rows in enumerate(bank)])
    distances = torch.cat([each.mean(0, keepdim=True), each])
    allowed = torch.ones(distances.shape[1:], dtype=torch.bool, device=bank.device)
    if filled is not None:
        allowed &= filled
    known = own >= 0
    allowed[known.nonzero()[:, 0], own[known]] = False
    k = min(k, int(allowed.sum(1).min()))
    found = distances.masked_fill(~allowed, torch.inf).sort(dim=2, stable=True)
    return Nearest(found.indices[..., :k], found.values[..., :k])


def by_patch(bank: Tensor, num_patches: int) -> Tensor:
    """The bank's patch features, of a run with `paul.similarity image` too, whose rows are whole descriptors.

    Args:
        bank: (M, N, D), or (1, N, M * D), L2-normalised as a whole when it was stored.
        num_patches: M.

    Returns:
        (M, N, D), of patch features that were L2-normalised one by one.
    """
    if len(bank) == num_patches:
        return bank
    return bank[0].unflatten(1, (num_patches, -1)).transpose(0, 1) * num_patches**0.5


class Neighbours(NamedTuple):
    """What is nearest to images in the memory bank, by the whole image first, then by each of M patches.

    Attributes:
        queries: Q files.
        near: (M + 1) x Q x k files of training images, nearest first.
        distances: (M + 1, Q, k), squared; of the whole image the mean over its patches.
        same: (M + 1) x Q x k, whether each shows the query's person, None where that is not known; None if no labels
            were given.
        thetas: where the patches of each of these files lie, (M, 2, 3).
    """

    queries: Sequence[str]
    near: list[list[list[str]]]
    distances: Tensor
    same: list[list[list[bool | None]]] | None
    thetas: dict[str, Tensor]


@torch.no_grad()
def find_neighbours(
    model: nn.Module,
    transform: Callable,
    memory: tuple[Tensor, Tensor],
    images: Sequence[str],
    queries: Sequence[str],
    k: int = 5,
    pids: Sequence[int] | None = None,
) -> Neighbours:
    """For images and each of their patches, the nearest patches in the memory bank and the nearest whole images.

    As in PEDAL, an image's current features are compared with the bank's rows by squared distance.

    Args:
        model: a PatchNet in eval mode.
        transform: PIL image -> (3, H, W).
        memory: the bank, (M, N, D) or (1, N, M * D), and which of its rows are filled, (N,) bool.
        images: N files, the training images in the order of the rows.
        queries: the images to look at; their own rows are left out.
        k: how many neighbours.
        pids: N labels of the training images, which the method itself never sees; None if they are not to be told.

    Raises:
        BadImage: for a file that cannot be read.
    """
    row_of = {os.path.abspath(path): row for row, path in enumerate(images)}
    bank, filled = by_patch(memory[0].float().cpu(), model.num_patches), memory[1].cpu()
    features = torch.cat(list(describe(model, queries, transform))).unflatten(1, (len(bank), -1))
    own = [row_of.get(os.path.abspath(path), -1) for path in queries]
    rows, distances = nearest(features, bank, torch.tensor(own), k, filled)
    shown = sorted({*queries, *(images[row] for row in rows.unique().tolist())})

    def same(near: list[int], query: int) -> list[bool | None]:
        return [None if query < 0 else pids[row] == pids[query] for row in near]

    return Neighbours(
        queries,
        [[[images[row] for row in near] for near in part] for part in rows.tolist()],
        distances,
        None if pids is None else [list(map(same, part, own)) for part in rows.tolist()],
        dict(zip(shown, thetas(model, transform, shown), strict=True)),
    )


def draw_neighbours(found: Neighbours, pixels: int = 160) -> Image.Image:
    """Beside each image its neighbours: a row for the whole images, then one for each patch, the rest of them pale.

    Args:
        found: the neighbours.
        pixels: height of an image in the picture.

    Raises:
        BadImage: for a file that cannot be read.
    """
    parts = len(found.near)
    colours = palette(parts - 1)
    # By whether the person is the same; told by a word too, as patches are drawn in the same colours
    frames = {True: RIGHT, False: WRONG, None: None}
    words = {True: ' same', False: ' other', None: ''}

    def picture(path: str, part: int) -> Image.Image:
        """The image; the part 0 is the whole, others are patches."""
        image = to_height(read_image(path), pixels)
        return outlined(image, [(found.thetas[path][part - 1], colours[part - 1])], fade=True) if part else image

    rows = []
    for part in range(parts):
        cells = []
        for number, query in enumerate(found.queries):
            near = zip(found.near[part][number], found.distances[part, number].tolist(), strict=True)
            same = itertools.repeat(None) if found.same is None else found.same[part][number]
            cells.append(Cell(picture(query, part)))
            cells += [
                Cell(picture(path, part), f'{to:.3f}{words[of]}', frames[of]) for (path, to), of in zip(near, same)
            ]
        rows.append(cells)
    count, width = len(found.queries), 1 + found.distances.shape[2]
    headings = [Heading('image'), Heading('its nearest training images'), *[Heading()] * (width - 2)] * count
    return sheet(
        'Nearest patches and nearest images in the memory bank',
        'First row: the training images that are nearest as a whole. Other rows: those in which one patch is nearest; '
        'the rest of the image is pale. Below an image: the squared distance, of whole images its mean over patches.',
        rows,
        headings,
        [Heading('whole'), *patch_headings(parts - 1)],
        groups=range(width, width * count, width),
        legend=[Heading('the same person', RIGHT), Heading('another person', WRONG)] if found.same is not None else [],
    )
