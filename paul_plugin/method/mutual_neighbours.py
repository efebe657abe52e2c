"""Mutual neighbours: which images are positives of which, decided by the whole image, in both directions.

Beside the paper, whose PEDAL takes each patch's k nearest patches as positives (Yang et al., CVPR 2019, section 3.2).
Cyclic ranking (section 3.3) asks whether two images choose each other; here the same question chooses the positives.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .camera_means import without_camera_means
from .numbers import check_at_least_1
from .spans import spans_of

NONE = -1  # in the place of a positive that an image lacks
BLOCK_ROWS = 1024  # images whose distances are held at a time
Shown = Callable[[Sequence], Iterable]  # gives back what it is given, and may show how far it is


class MutualNeighbours:
    """Image j is a positive of image i where each is among the k nearest to the other, in the other's camera.

    With `both_ways=False` it is enough that j is among those nearest to i.

    The descriptors are centred first: each camera's mean is subtracted, since images of one camera look alike whoever
    is on them. Time grows with N^2 E; beside the descriptors it holds O(N k) numbers for each camera.

    Args:
        counts: images of each camera; the descriptors' rows are sorted by camera.
        k: how many images of each camera may be chosen, at least 1.
        both_ways: whether i must be near to j, too.
        block_rows: images whose distances are held at a time; changes memory and speed, not the result.

    Attributes:
        spans: the rows of each camera, [first, last).

    Raises:
        ValueError: for a number below 1, or without a camera.

    Example:
        >>> miner = MutualNeighbours(counts=[2, 2], k=1)
        >>> miner(torch.tensor([[1.0, 0.1], [-1.0, 0.2], [0.9, 0.3], [-0.8, 0.5]])).tolist()
        [[[1], [2]], [[0], [3]], [[0], [3]], [[1], [2]]]
    """

    def __init__(
        self, counts: Sequence[int], k: int = 2, *, both_ways: bool = True, block_rows: int = BLOCK_ROWS
    ) -> None:
        check_at_least_1('MutualNeighbours', k=k, block_rows=block_rows)
        self.spans = spans_of(counts, 'MutualNeighbours')
        self.k = k
        self.both_ways = both_ways
        self.block_rows = block_rows

    @torch.no_grad()
    def __call__(self, descriptors: Tensor, shown: Shown = iter) -> Tensor:
        """Chooses the positives of all images.

        Args:
            descriptors: (N, E), one row an image, sorted by camera; nearest means highest cosine after centring, and
                ties go to the first row.
            shown: goes through the blocks of rows and may show how far it is.

        Returns:
            (N, C, k) int64: for each image and camera the rows of its positives there, the nearest first, `NONE` where
            there are fewer. An image is no positive of itself.

        Raises:
            ValueError: if there are other rows than the cameras have.
        """
        centred, _ = centred_of(descriptors, self.spans, 'MutualNeighbours')
        near = centred.new_full((len(centred), len(self.spans), self.k), NONE, dtype=torch.int64)
        for camera, start, rows in shown(self._blocks()):
            near[rows, camera] = self._nearest(centred, rows, start, self.spans[camera][1])
        return keep_mutual(near, self.spans) if self.both_ways else near

    def _blocks(self) -> list[tuple[int, int, slice]]:
        """Each camera, its first row, and blocks of the rows of all images that look into it."""
        images = self.spans[-1][1]
        return [
            (camera, start, slice(first, min(first + self.block_rows, images)))
            for camera, (start, _) in enumerate(self.spans)
            for first in range(0, images, self.block_rows)
        ]

    def _nearest(self, descriptors: Tensor, rows: slice, start: int, end: int) -> Tensor:
        """The k nearest rows of a camera, [start, end), to a block of images: (n, k), `NONE` where there are fewer."""
        cosine = descriptors[rows] @ descriptors[start:end].T
        own = torch.arange(rows.start, rows.stop, device=cosine.device)
        inside = (own >= start) & (own < end)
        cosine[inside, own[inside] - start] = -torch.inf
        values, places = first_largest(cosine, min(self.k, end - start))
        found = (places + start).masked_fill_(values == -torch.inf, NONE)
        return F.pad(found, (0, self.k - found.shape[1]), value=NONE)


def centred_of(descriptors: Tensor, spans: Sequence[tuple[int, int]], whose: str) -> tuple[Tensor, Tensor]:
    """Descriptors without their camera's mean, as the miners compare them.

    Args:
        descriptors: (N, E), sorted by camera.
        spans: the rows of each camera.
        whose: the miner, for the message.

    Returns:
        (N, E), of length 1, in float32 or wider; and (N,) int64, the camera of each row, from 0.

    Raises:
        ValueError: if there are other rows than the cameras have.
    """
    if len(descriptors) != spans[-1][1]:
        raise ValueError(f'{whose}: cameras of {spans[-1][1]} rows, {len(descriptors)} descriptors')
    sizes = torch.tensor([end - start for start, end in spans], device=descriptors.device)
    cameras = torch.arange(len(sizes), device=descriptors.device).repeat_interleave(sizes)
    wide = descriptors.to(torch.promote_types(descriptors.dtype, torch.float32))
    return F.normalize(without_camera_means(wide, cameras), dim=1), cameras


def keep_mutual(near: Tensor, spans: Sequence[tuple[int, int]]) -> Tensor:
    """Leaves of the chosen those that have chosen the image, too; these come first.

    Args:
        near: (N, C, k) int64, whom each image chooses in each camera, `NONE` where there are fewer.
        spans: the rows of each camera.

    Returns:
        (N, C, k) int64.
    """
    chosen = torch.full_like(near, NONE)
    own = torch.arange(len(near), device=near.device)
    for camera, (start, end) in enumerate(spans):  # the images' own: in it a positive must choose them
        theirs = near[:, camera]  # (N, k): whom all images choose in this camera
        candidates = near[start:end]  # (n, C, k)
        back = (theirs[candidates.clamp_min(0)] == own[start:end, None, None, None]).any(3)
        chosen[start:end] = candidates.masked_fill(~back | (candidates == NONE), NONE)
    order = (chosen == NONE).to(torch.uint8).argsort(dim=2, stable=True)
    return chosen.gather(2, order)


def first_largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row, the largest first, of equal ones the first: (n, k) values and places.

    `topk` leaves open which of equal values it takes, so it is asked again where the last one has equals.
    """
    best, places = values.topk(k, dim=1)
    doubt = (values == best[:, -1:]).sum(1) + (best > best[:, -1:]).sum(1) != k
    doubt |= (best[:, 1:] == best[:, :-1]).any(1)
    if doubt.any():
        sure = values[doubt].sort(dim=1, descending=True, stable=True)
        best[doubt], places[doubt] = sure.values[:, :k], sure.indices[:, :k]
    return best, places


def numbers_of_positives(positives: Tensor, spans: Sequence[tuple[int, int]]) -> dict[str, float]:
    """How many positives there are, for logs.

    Args:
        positives: (N, C, k), as MutualNeighbours gives them.
        spans: the rows of each camera.

    Returns:
        `positives`: the mean number of an image; `other_cameras`, where there are several: of them, those in other
        cameras than its own; `without`: the share of images without any.
    """
    found = positives != NONE
    own = torch.zeros(found.shape[:2], dtype=torch.bool, device=found.device)
    for camera, (start, end) in enumerate(spans):
        own[start:end, camera] = True
    number = len(found)
    others = {'other_cameras': (found & ~own[:, :, None]).sum().item() / number} if len(spans) > 1 else {}
    return {
        'positives': found.sum().item() / number,
        **others,
        'without': 1 - found.flatten(1).any(1).sum().item() / number,
    }
