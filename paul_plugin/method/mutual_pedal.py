"""PEDAL over given positives, camera by camera: a miner chose them, this loss takes their rows.

Beside the paper: the loss is PEDAL's (Yang et al., CVPR 2019, section 3.2), patch by patch, but its numerator holds
the positives of the whole image, `MutualNeighbours`, and its denominator one camera's rows.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..runtime import processes
from .memory import Bank, bank_of_cameras
from .mutual_neighbours import NONE
from .pedal import BLOCK_ROWS, PEDALLoss, safe_peak, walk
from .recall import own_logits, share_recalled, wide


class _GivenPositives(torch.autograd.Function):
    """Loss and gradient in one walk over the bank, camera by camera, so that no (B, N) matrix is ever held.

    For patch m of image i and a camera c with positives, with the logits l_j = -s/2 |w_j - x|^2, the loss is
    `logsumexp(l of camera c without i) - logsumexp(l of the positives in c)`; its gradient is s times the mean of w
    under the first softmax less the mean under the second. Of a sharded bank each process has its rows' parts.
    """

    @staticmethod
    def forward(ctx, features, bank, rows, positives, spans, scale, block_rows, bar):
        batch = len(features)
        anchors, sharded = features, bank.sharded
        if sharded:
            anchors, rows = processes.gather(features), processes.gather(rows)
            positives = processes.gather(positives)
        x = anchors.transpose(0, 1)
        near = _Near.of(x, bank, positives, scale)
        has = near.has.any(2)  # (B, C)
        loss, grad, above = x.new_zeros(x.shape[:2]), torch.zeros_like(x), None
        for camera, span in enumerate(spans):
            total, readout, best, _, counted = walk(x, bank.part(*span), rows, 1, scale, block_rows, bar)
            above = counted if above is None else above + counted
            peak = best[:, :, :1] if best.shape[2] else total.new_full(total.shape, -torch.inf)
            if sharded:
                peak, total, readout = _merged(peak, total, readout)
            counts = has[:, camera] & (total[:, :, 0] > 0)  # (M, B)
            log_all = (peak + total.log()).squeeze(2)
            loss += (log_all - near.log_sum[:, :, camera]).masked_fill(~counts, 0)
            grad += (readout / total).masked_fill(~counts.unsqueeze(2), 0)
        grad -= near.mean
        mine = processes.own(batch) if sharded else slice(0, batch)
        # The mean over the pairs of an image and a camera of all processes, whose gradients are averaged
        pairs = processes.mean(has[mine].sum().to(x.dtype))
        pairs = torch.where(pairs > 0, pairs, 1) * len(x)
        if ctx.needs_input_grad[0]:
            grad = grad.mul_(scale / pairs).transpose(0, 1)
            ctx.save_for_backward(processes.scatter_sum(grad) if sharded else grad)
        if above is not None:
            ctx.mark_non_differentiable(above)
        return loss[:, mine].sum() / pairs, above

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_loss, _):
        (grad,) = ctx.saved_tensors
        return grad * grad_loss, *[None] * 7


class _Near:
    """What a batch's positives give.

    Attributes:
        has: (B, C, k) bool, which of them are there.
        log_sum: (M, B, C), logsumexp of their logits in each camera; -inf where there is none.
        mean: (M, B, D), the sum over cameras of the mean of their rows under softmax; of a shard, its rows' part.
    """

    def __init__(self, has: Tensor, log_sum: Tensor, mean: Tensor) -> None:
        self.has, self.log_sum, self.mean = has, log_sum, mean

    @classmethod
    def of(cls, x: Tensor, bank: Bank, positives: Tensor, scale: float) -> '_Near':
        has = positives != NONE
        local = positives - bank.first
        size = bank.rows.shape[1]
        here = has & (local >= 0) & (local < size)
        chosen = bank.rows[:, local.clamp(0, max(size - 1, 0)).flatten(1)].to(x.dtype)  # (M, B, C * k, D)
        logits = scale * ((chosen @ x.unsqueeze(3)).squeeze(3) - chosen.square().sum(3) / 2)
        logits = logits.masked_fill(~here.flatten(1), -torch.inf)
        if bank.sharded:  # each positive is on one process
            logits = processes.gather(logits).unflatten(0, (-1, len(x))).amax(0)
        by_camera = logits.unflatten(2, has.shape[1:])
        log_sum = by_camera.logsumexp(3)
        weights = (by_camera - safe_peak(log_sum).unsqueeze(3)).exp().flatten(2).masked_fill(~here.flatten(1), 0)
        return cls(has, log_sum, (weights.unsqueeze(2) @ chosen).squeeze(2))


def _merged(peak: Tensor, total: Tensor, readout: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Peak and total of the whole camera from those of the shards; the readout of this one, relative to that peak."""
    shards = processes.gather(torch.cat([peak, total], 2)).unflatten(0, (-1, len(peak)))  # (W, M, B, 2)
    peaks, totals = shards.split(1, dim=3)
    peak = peaks.amax(0)
    shrinks = (peaks - safe_peak(peak)).exp()
    return peak, (totals * shrinks).sum(0), readout * shrinks[processes.rank()]


class MutualPEDALLoss(nn.Module):
    """PEDAL with positives that are given, camera by camera.

    For each camera c in which image i has positives P_c and each of its patches:
    `-log( sum_{j in P_c} exp(-s/2 |w_j - x_i|^2) / sum_{j of c, j != i} exp(-s/2 |w_j - x_i|^2) )`; the mean over
    these pairs of image and camera, of the whole batch, and over the patches. An image without positives adds nothing.

    Args:
        spans: the rows of each camera, [first, last), which the bank is sorted by.
        k: of the recall, as PEDALLoss counts it.
        scale: s, above 0.
        block_rows: as in PEDALLoss.

    Raises:
        ValueError: for an argument out of range.

    Example:
        >>> loss = MutualPEDALLoss(spans=[(0, 60), (60, 100)], scale=10.0)
        >>> bank = torch.nn.functional.normalize(torch.randn(6, 100, 256), dim=2)
        >>> positives = MutualNeighbours([60, 40])(bank.transpose(0, 1).flatten(1))
        >>> features = torch.nn.functional.normalize(torch.randn(8, 6, 256), dim=2).requires_grad_()
        >>> loss(features, bank, rows=torch.arange(8), positives=positives[:8]).backward()
    """

    def __init__(
        self, spans: Sequence[tuple[int, int]], k: int = 10, scale: float = 10.0, block_rows: int = BLOCK_ROWS
    ) -> None:
        super().__init__()
        if not spans:
            raise ValueError('MutualPEDALLoss: no camera')
        self.within = PEDALLoss(k, scale, block_rows)  # whose numbers are checked, and used
        self.spans = list(spans)

    @property
    def k(self) -> int:
        return self.within.k

    @property
    def scale(self) -> float:
        return self.within.scale

    def forward(self, features: Tensor, bank: Bank | Tensor, rows: Tensor, positives: Tensor) -> Tensor:
        """
        Args:
            features, bank, rows: as of PEDALLoss.
            positives: (B, C, k) int64, these images' rows of `MutualNeighbours`, of the whole bank.

        Returns:
            (), in float32 (float64 for float64 features): the average over processes is the loss of the whole batch.

        Raises:
            ValueError: if the bank has other rows than the cameras.
        """
        return self._walked(features, self._fitting(bank), rows, positives, None)[0]

    def loss_and_recall(
        self, features: Tensor, bank: Bank | Tensor, rows: Tensor, old: Tensor, positives: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The loss, to the bit, and the bank's recall, as PEDALLoss gives it.

        Args:
            features, bank, rows, positives: as of `forward`.
            old: (B, M, D), the images' own rows before the update.

        Returns:
            (), as `forward`; and (), float64, the share of the B * M patches that are recalled.
        """
        bank = self._fitting(bank)
        bar = own_logits(features, old, self.scale, bank.sharded)
        loss, above = self._walked(features, bank, rows, positives, bar)
        return loss, share_recalled(above, self.k, len(features), bank.sharded)

    def _fitting(self, bank: Bank | Tensor) -> Bank:
        return bank_of_cameras(bank, self.spans[-1][1], 'MutualPEDALLoss')

    def _walked(
        self, features: Tensor, bank: Bank, rows: Tensor, positives: Tensor, bar: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        features = wide(features)
        with torch.autocast(features.device.type, enabled=False):
            return _GivenPositives.apply(
                features, bank, rows, positives, self.spans, self.scale, self.within.block_rows, bar
            )

    def extra_repr(self) -> str:
        return f'{len(self.spans)} cameras, scale={self.scale}'
