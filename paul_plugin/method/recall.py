"""The memory bank's recall: whether an image finds itself in the bank, counted in PEDAL's walk over it.

Beside the paper: a sign, without labels, of how well the bank still tells of the network.
"""

import torch
from torch import Tensor

from ..runtime import processes


def wide(features: Tensor) -> Tensor:
    """In float32, or in float64 where they are: what PEDAL computes in."""
    return features if features.dtype == torch.float64 else features.float()


@torch.no_grad()
def own_logits(features: Tensor, old: Tensor, scale: float, sharded: bool) -> Tensor:
    """The logits of the images' own old rows: the bar that those of other rows are counted above.

    Args:
        features: (B, M, D).
        old: (B, M, D).
        scale: s.
        sharded: whether each process holds a shard of the bank, and walks for the images of all.

    Returns:
        (M, B, 1); of a sharded bank, of the images of all processes.
    """
    features = wide(features)
    old = old.to(features.dtype)
    logits = scale * ((features * old).sum(2) - old.square().sum(2) / 2)
    return (processes.gather(logits) if sharded else logits).T.unsqueeze(2)


def share_recalled(above: Tensor, k: int, batch: int, sharded: bool) -> Tensor:
    """The share of these images' patches with fewer than k other rows above the bar.

    Args:
        above: (M, B) int32, counts of all rows, or of the shard that is held here for the images of all processes.
        k: of PEDAL.
        batch: B, the images of this process.
        sharded: as of `own_logits`.

    Returns:
        (), float64: a mean over processes then tells no more and no less.
    """
    if sharded:
        above = processes.total(above)[:, processes.own(batch)]
    return (above < k).double().mean()
