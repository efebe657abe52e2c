"""Reciprocal neighbours: which images are positives of which, decided by the neighbours that two images share.

Beside the paper. Each image is described by its k-reciprocal neighbours, as in re-ranking (Zhong et al., "Re-ranking
Person Re-identification with k-reciprocal Encoding", CVPR 2017): two crops of one person know the same crops, even
where other people stand nearer to one of them. https://arxiv.org/abs/1701.08398
"""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from .mutual_neighbours import NONE, Shown, centred_of, first_largest, keep_mutual
from .numbers import check_at_least_1
from .spans import spans_of

BLOCK_NUMBERS = 2**24  # similarities that are held at a time
# Overlaps are equal within it, and the first row comes first: images with the same neighbours have equal ones, which
# rounding would put in another order on another machine, or with another number of processes.
EQUAL = 1e-6


class ReciprocalNeighbours:
    """Image j is a positive of image i where the two share enough reciprocal neighbours.

    With unit descriptors x, from which each camera's mean has been subtracted:

    - R_i are those of the `shared` images nearest to i that have i among theirs, and i itself;
    - v_i has `exp(-|x_i - x_j|^2)` for each j in R_i, 0 elsewhere, and sums to 1;
    - u_i is the mean of v over i and its `expand - 1` nearest images;
    - the overlap of i and j is the cosine of u_i and u_j, from 0 to 1.

    Of those whose overlap with i is above `overlap`, j is one of the k largest in j's camera, and i one of the k
    largest for j in i's camera. Time grows with N^2 E; beside the descriptors it holds O(N (shared * expand + k C))
    numbers.

    Args:
        counts: images of each camera; the descriptors' rows are sorted by camera.
        k: how many images of each camera may be chosen, at least 1.
        shared: how many nearest images describe an image, about as many as a person has; at least 1.
        expand: over how many images v is averaged, itself included; 1 for itself alone.
        overlap: the least overlap, at least 0 and below 1.
        block_numbers: similarities that are held at a time; changes memory and speed, not the result.

    Attributes:
        spans: the rows of each camera, [first, last).

    Raises:
        ValueError: for a number out of range, or without a camera.

    Example:
        >>> miner = ReciprocalNeighbours(counts=[2, 2], k=1, shared=1, expand=1, overlap=0.5)
        >>> miner(torch.tensor([[1.0, 0.1], [-1.0, 0.2], [0.9, 0.3], [-0.8, 0.5]])).tolist()
        [[[-1], [2]], [[-1], [3]], [[0], [-1]], [[1], [-1]]]
    """

    def __init__(
        self,
        counts: Sequence[int],
        k: int = 10,
        *,
        shared: int = 10,
        expand: int = 4,
        overlap: float = 0.6,
        block_numbers: int = BLOCK_NUMBERS,
    ) -> None:
        check_at_least_1('ReciprocalNeighbours', k=k, shared=shared, expand=expand, block_numbers=block_numbers)
        if not 0 <= overlap < 1:
            raise ValueError(f'ReciprocalNeighbours: overlap must be at least 0 and below 1, got {overlap}')
        self.spans = spans_of(counts, 'ReciprocalNeighbours')
        self.k = k
        self.shared = shared
        self.expand = expand
        self.overlap = overlap
        self.block_numbers = block_numbers

    @torch.no_grad()
    def __call__(self, descriptors: Tensor, shown: Shown = iter) -> Tensor:
        """Chooses the positives of all images.

        Args:
            descriptors: (N, E), one row an image, sorted by camera; ties go to the first row.
            shown: goes through the first rows of blocks and may show how far it is; called twice.

        Returns:
            (N, C, k) int64: for each image and camera the rows of its positives there, the largest overlap first,
            `NONE` where there are fewer. An image is no positive of itself.

        Raises:
            ValueError: if there are other rows than the cameras have.
        """
        unit, cameras = centred_of(descriptors, self.spans, 'ReciprocalNeighbours')
        encoded = _encoded(*self._nearest(unit, shown), self.expand)
        return keep_mutual(self._largest(encoded, cameras, shown), self.spans)

    def _nearest(self, unit: Tensor, shown: Shown) -> tuple[Tensor, Tensor]:
        """Each image and the `shared` images that are nearest to it, itself first: cosines, rows, (N, 1 + shared)."""
        size = min(1 + self.shared, len(unit))
        cosine, near = unit.new_empty(len(unit), size), unit.new_empty(len(unit), size, dtype=torch.int64)
        height = max(1, self.block_numbers // len(unit))
        for first in shown(range(0, len(unit), height)):
            rows = slice(first, first + height)
            block = unit[rows] @ unit.T
            block.diagonal(first).fill_(torch.inf)
            cosine[rows], near[rows] = first_largest(block, size)
        cosine[:, 0] = 1
        return cosine, near

    def _largest(self, encoded: Tensor, cameras: Tensor, shown: Shown) -> Tensor:
        """In each camera the images whose overlap with an image is the largest: (N, C, k), `NONE` where too small."""
        images = len(cameras)
        found = torch.full((images, len(self.spans), self.k), NONE, device=cameras.device)
        columns = encoded.t().coalesce()
        ends = torch.bincount(encoded.indices()[0], minlength=images).cumsum(0).tolist()
        height = max(1, self.block_numbers // images)
        for first in shown(range(0, images, height)):
            last = min(first + height, images)
            here = slice(ends[first - 1] if first else 0, ends[last - 1])
            rows, places = encoded.indices()[:, here]
            block = _sparse(rows - first, places, encoded.values()[here], (last - first, images))
            product = _product(block, columns)
            (rows, others), values = product.indices(), product.values()
            kept = (values > self.overlap + EQUAL / 2) & (others != rows + first)
            rows, others, values = rows[kept], others[kept], values[kept]
            order = (values / EQUAL).round().argsort(descending=True, stable=True)
            group = rows * len(self.spans) + cameras[others]
            order = order[group[order].argsort(stable=True)]
            sizes = torch.bincount(group, minlength=(last - first) * len(self.spans))
            place = torch.arange(len(order), device=order.device) - (sizes.cumsum(0) - sizes)[group[order]]
            order, place = order[place < self.k], place[place < self.k]
            found[first:last].view(-1, self.k)[group[order], place] = others[order]
        return found


def _encoded(cosine: Tensor, near: Tensor, expand: int) -> Tensor:
    """u of all images, each of length 1: (N, N), sparse."""
    images, size = near.shape
    own = torch.arange(images, device=near.device)
    back = torch.stack([(near[near[:, place]] == own[:, None]).any(1) for place in range(size)], 1)
    weights = (2 * cosine - 2).exp().masked_fill_(~back, 0)
    weights /= weights.sum(1, keepdim=True)
    group = near[:, :expand]
    columns, values = near[group].flatten(1), weights[group].flatten(1)
    there = values > 0
    encoded = _sparse(own[:, None].expand_as(columns)[there], columns[there], values[there], (images, images))
    rows, values = encoded.indices()[0], encoded.values()
    values /= values.new_zeros(images).index_add_(0, rows, values.square()).sqrt_()[rows]
    return encoded


def _sparse(rows: Tensor, columns: Tensor, values: Tensor, shape: Sequence[int]) -> Tensor:
    """A sparse matrix whose entries are sorted by row and column; those of one place are added."""
    return torch.sparse_coo_tensor(torch.stack([rows, columns]), values, tuple(shape), check_invariants=True).coalesce()


def _product(left: Tensor, right: Tensor) -> Tensor:
    """The product of two sparse matrices, sparse."""
    with warnings.catch_warnings():  # torch may take a layout that it calls beta on the way
        warnings.filterwarnings('ignore', message='Sparse CSR tensor support is in beta')
        return torch.sparse.mm(left, right).coalesce()
