"""PEDAL, the patch-based discriminative feature learning loss, over blocks of the memory bank."""

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

BLOCK_ROWS = 2048  # rows of the bank read at a time: the block's logits stay in a CPU's cache


class _Pedal(torch.autograd.Function):
    """Loss and gradient in one walk over the bank, so that no (B, N) matrix is ever held.

    With logits l_j = -s/2 |w_j - x|^2, the loss of one feature is logsumexp(all l) - logsumexp(k largest l) and its
    gradient is s * (mean of w under softmax(all l) - mean of w under softmax(k largest l)). The first mean is
    accumulated with a running maximum, as in streaming attention. The term |x|^2 cancels and is left out.
    """

    @staticmethod
    def forward(ctx, features, bank, rows, filled, k, scale, block_rows):
        x = features.transpose(0, 1)  # (M, B, D)
        patches, batch, dim = x.shape
        peak = x.new_full((patches, batch, 1), -torch.inf)
        total = x.new_zeros(patches, batch, 1)
        readout = x.new_zeros(patches, batch, dim)
        best = x.new_empty(patches, batch, 0)
        best_rows = rows.new_empty(patches, batch, 0)
        for start in range(0, bank.shape[1], block_rows):
            block = bank[:, start : start + block_rows].to(x.dtype)
            size = block.shape[1]
            bias = block.square().sum(2).mul_(-scale / 2).unsqueeze(1)  # (M, 1, n)
            if filled is not None:
                bias.masked_fill_(~filled[start : start + size], -torch.inf)
            logits = torch.baddbmm(bias, x, block.transpose(1, 2), alpha=scale)
            own = torch.arange(start, start + size, device=rows.device) == rows[:, None]  # (B, n)
            logits.masked_fill_(own, -torch.inf)

            values, places = logits.topk(min(k, size), dim=2)
            best = torch.cat([best, values], 2)
            best_rows = torch.cat([best_rows, places + start], 2)
            best, places = best.topk(min(k, best.shape[2]), dim=2)
            best_rows = best_rows.gather(2, places)

            new_peak = torch.maximum(peak, values[:, :, :1])
            safe_peak = new_peak.masked_fill(new_peak == -torch.inf, 0)  # no row so far: avoids inf - inf
            shrink = (peak - safe_peak).exp_()
            weights = logits.sub_(safe_peak).exp_()
            total.mul_(shrink).add_(weights.sum(2, keepdim=True))
            readout.mul_(shrink).baddbmm_(weights, block)
            peak = new_peak

        alone = total == 0  # not one row to compare with: no loss and no gradient
        log_all = peak + total.log()
        log_near = best.logsumexp(2, keepdim=True)
        loss = (log_all - log_near).masked_fill(alone, 0).mean()
        if ctx.needs_input_grad[0]:
            near = best.sub_(log_near).exp_().unsqueeze(2)  # softmax over K_i, (M, B, 1, k)
            neighbours = bank[torch.arange(patches, device=bank.device)[:, None, None], best_rows].to(x.dtype)
            grad = readout / total - (near @ neighbours).squeeze(2)
            grad = grad.masked_fill_(alone, 0).mul_(scale / (patches * batch))
            ctx.save_for_backward(grad.transpose(0, 1))
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_loss):
        (grad,) = ctx.saved_tensors
        return grad * grad_loss, None, None, None, None, None, None


class PEDALLoss(nn.Module):
    """Patch-based discriminative feature learning loss (paper, section 3.2).

    Per patch m and image i, with K_i the k rows of bank m nearest to x_i other than i's own:
    `-log( sum_{j in K_i} exp(-s/2 |w_j - x_i|^2) / sum_{j != i} exp(-s/2 |w_j - x_i|^2) )`; mean over B and M.

    The extra memory does not grow with N: the bank is read in blocks, and the gradient is accumulated with the loss.

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
        if k < 1:
            raise ValueError(f'PEDALLoss: k must be at least 1, got {k}')
        if not 0 < scale < float('inf'):
            raise ValueError(f'PEDALLoss: scale must be a finite number above 0, got {scale}')
        if block_rows < 1:
            raise ValueError(f'PEDALLoss: block_rows must be at least 1, got {block_rows}')
        self.k = k
        self.scale = scale
        self.block_rows = block_rows

    def forward(self, features: Tensor, bank: Tensor, rows: Tensor, filled: Tensor | None = None) -> Tensor:
        """
        Args:
            features: (B, M, D), L2-normalised per patch.
            bank: (M, N, D); no gradient flows into it.
            rows: (B,) int64, the images' own rows, which take no part.
            filled: (N,) bool, the rows that take part; None for all. Where fewer than k are filled, those are K_i.

        Returns:
            (), in float32 (float64 for float64 features).

        Raises:
            ValueError: if the bank has not more than k rows.
        """
        if bank.shape[1] <= self.k:
            raise ValueError(f'PEDALLoss: k={self.k} needs a bank of more than k rows, got {bank.shape[1]}')
        if features.dtype != torch.float64:
            features = features.float()
        with torch.autocast(features.device.type, enabled=False):
            return _Pedal.apply(features, bank, rows, filled, self.k, self.scale, self.block_rows)

    def extra_repr(self) -> str:
        return f'k={self.k}, scale={self.scale}'
