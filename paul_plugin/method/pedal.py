"""PEDAL, the patch-based discriminative feature learning loss, over blocks of the memory bank.

Yang et al., CVPR 2019, section 3.2:
https://openaccess.thecvf.com/content_CVPR_2019/html/Yang_Patch-Based_Discriminative_Feature_Learning_for_Unsupervised_Person_Re-Identification_CVPR_2019_paper.html
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ..runtime import processes
from .memory import Bank, as_bank
from .numbers import check_at_least_1
from .recall import own_logits, share_recalled, wide

BLOCK_ROWS = 2048  # rows of the bank read at a time: the block's logits stay in a CPU's cache


def _logits(x: Tensor, block: Tensor, rows: Tensor, filled: Tensor | None, scale: float) -> Tensor:
    """(M, B, n), of n rows (M, n, D) of the bank, -inf where one is the image's own (rows, (B,)) or is not filled."""
    bias = block.square().sum(2).mul_(-scale / 2).unsqueeze(1)  # (M, 1, n)
    if filled is not None:
        bias.masked_fill_(~filled, -torch.inf)
    logits = torch.baddbmm(bias, x, block.transpose(1, 2), alpha=scale)
    own = torch.arange(block.shape[1], device=rows.device) == rows[:, None]  # (B, n)
    return logits.masked_fill_(own, -torch.inf)


def _above(logits: Tensor, bar: Tensor) -> Tensor:
    """(M, B) int32: how many of the logits (M, B, n) are larger than the image's bar (M, B, 1)."""
    return (logits > bar).sum(2, dtype=torch.int32)


def walk(
    x: Tensor, bank: Bank, rows: Tensor, k: int, scale: float, block_rows: int, bar: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
    """One walk over the rows that are here, with logits l_j = -s/2 |w_j - x|^2; |x|^2 cancels and is left out.

    Args:
        x: (M, B, D).
        bank: of n rows.
        rows: (B,) int64, the images' own rows in the whole bank; those that are not here exclude nothing.
        bar: (M, B, 1), logits to count those above; None to count nothing.

    Returns:
        total: (M, B, 1), the sum of exp(l - peak), peak being the largest l; 0 if there is no row.
        readout: (M, B, D), the sum of exp(l - peak) * w.
        best: (M, B, min(k, n)), the largest l, the peak first; -inf where there are fewer.
        best_rows: (M, B, min(k, n)) int64, their places among the rows that are here.
        above: (M, B) int32, how many l are above the bar; None without one.
    """
    patches, batch, dim = x.shape
    above = None if bar is None else rows.new_zeros(patches, batch, dtype=torch.int32)
    peak = x.new_full((patches, batch, 1), -torch.inf)
    total = x.new_zeros(patches, batch, 1)
    readout = x.new_zeros(patches, batch, dim)
    best = x.new_empty(patches, batch, 0)
    best_rows = rows.new_empty(patches, batch, 0)
    own = rows - bank.first
    for start in range(0, bank.rows.shape[1], block_rows):
        block = bank.rows[:, start : start + block_rows].to(x.dtype)
        size = block.shape[1]
        filled = None if bank.filled is None else bank.filled[start : start + size]
        logits = _logits(x, block, own - start, filled, scale)
        if above is not None:
            above += _above(logits, bar)

        values, places = logits.topk(min(k, size), dim=2)
        best = torch.cat([best, values], 2)
        best_rows = torch.cat([best_rows, places + start], 2)
        best, places = best.topk(min(k, best.shape[2]), dim=2)
        best_rows = best_rows.gather(2, places)

        new_peak = torch.maximum(peak, values[:, :, :1])
        base = safe_peak(new_peak)
        shrink = (peak - base).exp_()
        weights = logits.sub_(base).exp_()
        total.mul_(shrink).add_(weights.sum(2, keepdim=True))
        readout.mul_(shrink).baddbmm_(weights, block)
        peak = new_peak
    return total, readout, best, best_rows, above


def safe_peak(peak: Tensor) -> Tensor:
    """The peak to take off logits: 0 where there is no row so far, which avoids inf - inf."""
    return peak.masked_fill(peak == -torch.inf, 0)


def _merge(total: Tensor, readout: Tensor, best: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Turns what `walk` gives of a shard into what belongs to the whole bank; all processes call it together.

    Totals and k largest logits of every shard go to every process, which chooses the same k of them.

    Returns:
        peak, log_near: (M, B, 1), the largest l and logsumexp(k largest l), of the whole bank.
        total: (M, B, 1), of the whole bank.
        readout: (M, B, D), of the shard, relative to the whole bank's peak.
        best: as it came, but -inf where a logit is not among the whole bank's k largest.
    """
    patches, _, size = best.shape
    padded = F.pad(best, (0, k - size), value=-torch.inf)
    shards = processes.gather(torch.cat([total, padded], 2)).unflatten(0, (-1, patches))  # (W, M, B, 1 + k)
    totals, bests = shards.split([1, k], dim=3)
    peaks = bests[..., :1]
    peak = peaks.amax(0)
    shrinks = (peaks - safe_peak(peak)).exp_()
    total = (totals * shrinks).sum(0)
    readout = readout * shrinks[processes.rank()]

    bests = bests.permute(1, 2, 0, 3).flatten(2)  # (M, B, W * k)
    values, places = bests.sort(dim=2, descending=True, stable=True)  # stable: ties are broken alike everywhere
    log_near = values[:, :, :k].logsumexp(2, keepdim=True)
    chosen = torch.zeros_like(bests, dtype=torch.bool).scatter_(2, places[:, :, :k], True)
    chosen_here = chosen[:, :, processes.own(k)][:, :, :size]
    return peak, log_near, total, readout, best.masked_fill(~chosen_here, -torch.inf)


class _Pedal(torch.autograd.Function):
    """Loss and gradient in one walk over the bank, so that no (B, N) matrix is ever held.

    With the logits l of `walk`, the loss of one feature is logsumexp(all l) - logsumexp(k largest l) and its gradient
    is s * (mean of w under softmax(all l) - mean of w under softmax(k largest l)). The first mean is accumulated with
    a running maximum, as in streaming attention. Of a sharded bank, each process has the means' parts of its rows for
    the images of all processes, and the parts are summed.

    Beside the loss it gives what the walk counted: of a shard, its share of the counts for the images of all.
    """

    @staticmethod
    def forward(ctx, features, bank, rows, k, scale, block_rows, bar):
        anchors, sharded = features, bank.sharded
        if sharded:
            anchors, rows = processes.gather(features), processes.gather(rows)
        x = anchors.transpose(0, 1)
        total, readout, best, best_rows, above = walk(x, bank, rows, k, scale, block_rows, bar)
        peak, log_near = best[:, :, :1], best.logsumexp(2, keepdim=True)
        if sharded:
            peak, log_near, total, readout, best = _merge(total, readout, best, k)

        alone = total == 0  # not one row to compare with: no loss and no gradient
        log_all = peak + total.log()
        loss = (log_all - log_near).masked_fill(alone, 0)
        if sharded:
            loss = loss[:, processes.own(len(features))]
        if ctx.needs_input_grad[0]:
            patches = torch.arange(len(x), device=x.device)
            near = best.sub_(log_near).exp_().unsqueeze(2)  # softmax over K_i, (M, B, 1, k)
            neighbours = bank.rows[patches[:, None, None], best_rows].to(features.dtype)
            grad = readout / total - (near @ neighbours).squeeze(2)
            grad = grad.masked_fill_(alone, 0).mul_(scale / loss.numel()).transpose(0, 1)
            ctx.save_for_backward(processes.scatter_sum(grad) if sharded else grad)
        if above is not None:
            ctx.mark_non_differentiable(above)
        return loss.mean(), above

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_loss, _):
        (grad,) = ctx.saved_tensors
        return grad * grad_loss, *[None] * 6


@torch.no_grad()
def count_above(features: Tensor, bank: Bank, rows: Tensor, scale: float, bar: Tensor) -> Tensor:
    """What a walk over a few rows counts above the bar, without a loss.

    Args:
        features, bank, rows: as of `PEDALLoss.forward`.
        bar: of `own_logits`.

    Returns:
        (M, B) int32; of a sharded bank, what is held here, for the images of all processes.
    """
    features = wide(features)
    if bank.sharded:
        features, rows = processes.gather(features), processes.gather(rows)
    with torch.autocast(features.device.type, enabled=False):
        x, own = features.transpose(0, 1), rows - bank.first
        return _above(_logits(x, bank.rows.to(features.dtype), own, bank.filled, scale), bar)


class PEDALLoss(nn.Module):
    """Patch-based discriminative feature learning loss (paper, section 3.2).

    Per patch m and image i, with K_i the k rows of bank m nearest to x_i other than i's own:
    `-log( sum_{j in K_i} exp(-s/2 |w_j - x_i|^2) / sum_{j != i} exp(-s/2 |w_j - x_i|^2) )`; mean over B and M.

    The extra memory does not grow with N: the bank is read in blocks, and the gradient is accumulated with the loss.

    A bank in shards, one a process, gives the same: each process walks over its shard for the B images of all W
    processes, and no row travels. In a step each process receives (W - 1) / W times these bytes: `4BMD` of features,
    `8B` of rows, `4WBM(k + 1)` of logits and, of gradients, `4BMD` with NCCL and `8BMD` with gloo.

    Args:
        k: the number of nearest patches that are pulled, at least 1.
        scale: s, above 0 (paper: 30 on Market-1501, 10 on DukeMTMC-reID).
        block_rows: rows of the bank read at a time; changes memory and speed, not the result.

    Raises:
        ValueError: for an argument out of range.

    Example:
        >>> loss = PEDALLoss(k=10, scale=30.0)
        >>> features = torch.nn.functional.normalize(torch.randn(8, 6, 256), dim=2).requires_grad_()
        >>> bank = torch.nn.functional.normalize(torch.randn(6, 100, 256), dim=2)
        >>> loss(features, bank, rows=torch.arange(8)).backward()
    """

    def __init__(self, k: int = 10, scale: float = 30.0, block_rows: int = BLOCK_ROWS) -> None:
        super().__init__()
        check_at_least_1('PEDALLoss', k=k)
        if not 0 < scale < float('inf'):
            raise ValueError(f'PEDALLoss: scale must be a finite number above 0, got {scale}')
        check_at_least_1('PEDALLoss', block_rows=block_rows)
        self.k = k
        self.scale = scale
        self.block_rows = block_rows

    def forward(self, features: Tensor, bank: Bank | Tensor, rows: Tensor) -> Tensor:
        """
        Args:
            features: (B, M, D), L2-normalised per patch.
            bank: (M, N, D), or a Bank, which says which rows take part, and whether they are a shard, as
                `PatchMemory.here` does. Where fewer than k are filled, those are K_i. Of a sharded bank all processes
                call this together, with as many images each.
            rows: (B,) int64, the images' own rows in the whole bank, which take no part.

        Returns:
            (), in float32 (float64 for float64 features): of these images, so that with several processes the average
            over them is the mean over all images.

        Raises:
            ValueError: if the (whole) bank has not more than k rows.
        """
        return self.walked(features, as_bank(bank), rows)[0]

    def loss_and_recall(
        self, features: Tensor, bank: Bank | Tensor, rows: Tensor, old: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The loss, to the bit, and the bank's recall, counted in the same walk: does an image find itself again?

        A patch is recalled if fewer than k rows, other than its own, are nearer to it than its own was before this
        step's update. Where the network outruns its bank, the rows say little about the features, and recall falls. By
        chance it would be k / N.

        Args:
            features, bank, rows: as of `forward`.
            old: (B, M, D), the images' own rows before the update, all of them filled by then.

        Returns:
            (), as `forward`; and (), float64, the share of the B * M patches that are recalled, of these images.
        """
        bank = as_bank(bank)
        bar = own_logits(features, old, self.scale, bank.sharded)
        loss, above = self.walked(features, bank, rows, bar)
        return loss, share_recalled(above, self.k, len(features), bank.sharded)

    def walked(
        self, features: Tensor, bank: Bank, rows: Tensor, bar: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The loss, and what the walk counted above the bar."""
        if bank.num_images <= self.k:
            raise ValueError(f'PEDALLoss: k={self.k} needs a bank of more than k rows, got {bank.num_images}')
        features = wide(features)
        with torch.autocast(features.device.type, enabled=False):
            return _Pedal.apply(features, bank, rows, self.k, self.scale, self.block_rows, bar)

    def extra_repr(self) -> str:
        return f'k={self.k}, scale={self.scale}'
