"""Tells whether the model collapses: all images get nearly the same descriptor."""

import torch
from torch import Tensor

from . import processes


@torch.no_grad()
def mean_cosine(bank: Tensor, filled: Tensor | None = None, sharded: bool = False) -> float:
    """Mean cosine between the descriptors of two different images of the memory bank.

    The mean over all pairs follows from the sum of the normalised descriptors: one pass, no N x N matrix.

    Args:
        bank: (M, N, D).
        filled: (N,) bool, the rows that count; None for all.
        sharded: the rows are this process' shard of the bank; all processes call it together.

    Returns:
        From -1 to 1; 0 for fewer than two rows.

    Example:
        >>> mean_cosine(torch.ones(6, 100, 256))
        1.0
    """
    squares = torch.linalg.vector_norm(bank, dim=2, dtype=torch.float64).square_().sum(0)
    weights = squares.rsqrt().masked_fill_(squares == 0, 0)
    if filled is not None:
        weights.masked_fill_(~filled, 0)
    wide = torch.promote_types(bank.dtype, torch.float32)
    total = torch.einsum('mnd,n->md', bank.to(wide), weights.to(wide)).double()
    count = weights.count_nonzero().double()
    if sharded:
        total, count = processes.total(total), processes.total(count)
    count = count.item()
    return (total.square().sum().item() - count) / (count * (count - 1)) if count > 1 else 0.0
