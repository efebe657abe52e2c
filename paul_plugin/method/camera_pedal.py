"""PEDAL camera by camera: a patch is drawn to its nearest ones in each camera, not to those of its own alone.

Beside the paper, whose PEDAL is `pedal.py`: the nearest patches of an image are mostly crops of its own camera, and to
draw those nearer teaches the camera, not the person.
"""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from .pedal import PEDALLoss


class CameraPEDALLoss(nn.Module):
    """The mean over cameras c of PEDAL among the rows of camera c.

    Per patch m and image i, with K_i^c the k rows of camera c nearest to x_i other than i's own:
    `-log( sum_{j in K_i^c} exp(-s/2 |w_j - x_i|^2) / sum_{j != i, camera of j is c} exp(-s/2 |w_j - x_i|^2) )`; mean
    over cameras, B and M. With one camera it is PEDALLoss.

    A camera of no more than k rows, among which nothing tells near from far, is left out of the mean.

    Args:
        counts: how many rows of the bank each camera has, in the order of the rows, which are sorted by camera.
        k: the number of nearest patches of each camera that are pulled, at least 1.
        scale: s, as in PEDALLoss.
        block_rows: as in PEDALLoss.

    Raises:
        ValueError: for an argument out of range, or if no camera has more than k rows.

    Example:
        >>> loss = CameraPEDALLoss(counts=[60, 40], k=5, scale=30.0)
        >>> features = torch.nn.functional.normalize(torch.randn(8, 6, 256), dim=2).requires_grad_()
        >>> bank = torch.nn.functional.normalize(torch.randn(6, 100, 256), dim=2)
        >>> loss(features, bank, rows=torch.arange(8)).backward()
    """

    def __init__(self, counts: Sequence[int], k: int = 2, scale: float = 30.0, **options) -> None:
        super().__init__()
        self.within = PEDALLoss(k, scale, **options)
        if not counts or min(counts) < 1:
            raise ValueError(f'CameraPEDALLoss: each camera must have a row, got counts={list(counts)}')
        ends = list(accumulate(counts))
        self.num_images = ends[-1]
        # [first, last) rows of the cameras that count
        self.spans = [(end - count, end) for count, end in zip(counts, ends, strict=True) if count > k]
        self.left_out = len(counts) - len(self.spans)
        if not self.spans:
            raise ValueError(f'CameraPEDALLoss: k={k} needs a camera of more than k rows, got counts={list(counts)}')

    @property
    def k(self) -> int:
        return self.within.k

    @property
    def scale(self) -> float:
        return self.within.scale

    def forward(
        self,
        features: Tensor,
        bank: Tensor,
        rows: Tensor,
        filled: Tensor | None = None,
        shard: tuple[int, int] | None = None,
    ) -> Tensor:
        """As PEDALLoss: the same arguments, and what they mean for a bank in shards.

        Args:
            features: (B, M, D).
            bank: (M, N, D), or this process' shard of it.
            rows: (B,) int64, the images' own rows, of the whole bank.
            filled: (N,) bool, the rows that count; None for all.
            shard: the first row that is held here, and N; None where all are.

        Returns:
            (), in float32 (float64 for float64 features).

        Raises:
            ValueError: if the bank has other rows than the cameras together.
        """
        first, num_images = (0, bank.shape[1]) if shard is None else shard
        if num_images != self.num_images:
            raise ValueError(f'CameraPEDALLoss: cameras of {self.num_images} rows in all, a bank of {num_images}')
        losses = []
        for start, end in self.spans:
            # The part of the camera that is held here: of a shard it may be empty, and takes part all the same.
            here = slice(min(max(start - first, 0), bank.shape[1]), min(max(end - first, 0), bank.shape[1]))
            part = None if filled is None else filled[here]
            if shard is None:
                losses.append(self.within(features, bank[:, here], rows - start, part))
            else:
                losses.append(self.within(features, bank[:, here], rows, part, (first + here.start, end - start)))
        return torch.stack(losses).mean()

    def extra_repr(self) -> str:
        return f'{len(self.spans)} cameras, {self.left_out} left out'
