"""PEDAL camera by camera: a patch is drawn to its nearest ones in each camera, not to those of its own alone.

Beside the paper, whose PEDAL is `pedal.py`: the nearest patches of an image are mostly crops of its own camera, and to
draw those nearer teaches the camera, not the person.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .memory import Bank, bank_of_cameras
from .pedal import PEDALLoss, count_above
from .recall import own_logits, share_recalled
from .spans import spans_of


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
        k_recall: k of the recall, which is among the rows of all cameras together; None for `k`. With the one of
            PEDALLoss both recalls can be compared.
        block_rows: as in PEDALLoss.

    Raises:
        ValueError: for an argument out of range, or if no camera has more than k rows.

    Example:
        >>> loss = CameraPEDALLoss(counts=[60, 40], k=5, scale=30.0)
        >>> features = torch.nn.functional.normalize(torch.randn(8, 6, 256), dim=2).requires_grad_()
        >>> bank = torch.nn.functional.normalize(torch.randn(6, 100, 256), dim=2)
        >>> loss(features, bank, rows=torch.arange(8)).backward()
    """

    def __init__(
        self, counts: Sequence[int], k: int = 2, scale: float = 30.0, k_recall: int | None = None, **options
    ) -> None:
        super().__init__()
        self.within = PEDALLoss(k, scale, **options)
        spans = spans_of(counts, 'CameraPEDALLoss')
        self.num_images = spans[-1][1]
        self.spans = [(start, end) for start, end in spans if end - start > k]  # of the cameras that count
        self.small_spans = [(start, end) for start, end in spans if end - start <= k]  # which the recall counts too
        self.k_recall = self.within.k if k_recall is None else k_recall
        if not self.spans:
            raise ValueError(f'CameraPEDALLoss: k={k} needs a camera of more than k rows, got counts={list(counts)}')

    @property
    def left_out(self) -> int:
        """How many cameras have too few rows."""
        return len(self.small_spans)

    @property
    def k(self) -> int:
        return self.within.k

    @property
    def scale(self) -> float:
        return self.within.scale

    def forward(self, features: Tensor, bank: Bank | Tensor, rows: Tensor) -> Tensor:
        """As PEDALLoss: the same arguments, and what they mean for a bank in shards.

        Args:
            features: (B, M, D).
            bank: (M, N, D), or a Bank.
            rows: (B,) int64, the images' own rows, of the whole bank.

        Returns:
            (), in float32 (float64 for float64 features).

        Raises:
            ValueError: if the bank has other rows than the cameras together.
        """
        return self._walked(features, self._fitting(bank), rows)[0]

    def loss_and_recall(
        self, features: Tensor, bank: Bank | Tensor, rows: Tensor, old: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As PEDALLoss: the recall is that of the whole bank, whatever the cameras, those that are left out too.

        Args:
            features, bank, rows: as of `forward`.
            old: (B, M, D), the images' own rows before the update, all of them filled by then.

        Returns:
            (), as `forward`; and (), float64, the share of the B * M patches that are recalled.
        """
        bank = self._fitting(bank)
        bar = own_logits(features, old, self.scale, bank.sharded)
        loss, above = self._walked(features, bank, rows, bar)
        for span in self.small_spans:
            above = above + count_above(features, bank.part(*span), rows, self.scale, bar)
        return loss, share_recalled(above, self.k_recall, len(features), bank.sharded)

    def _fitting(self, bank: Bank | Tensor) -> Bank:
        return bank_of_cameras(bank, self.num_images, 'CameraPEDALLoss')

    def _walked(
        self, features: Tensor, bank: Bank, rows: Tensor, bar: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The loss, and what the walks counted above the bar together."""
        walks = [self.within.walked(features, bank.part(*span), rows, bar) for span in self.spans]
        losses, counts = zip(*walks)
        return torch.stack(losses).mean(), None if bar is None else torch.stack(counts).sum(0)

    def extra_repr(self) -> str:
        return f'{len(self.spans)} cameras, {self.left_out} left out'
