"""Cyclic ranking: mines a hard negative for each image of a batch, without labels."""

import torch
from torch import Tensor, nn


class CyclicRankingMiner(nn.Module):
    """Hard negative mining by cyclic ranking (paper, section 3.3).

    Each anchor walks its list of the other images from the nearest on. Candidate j is a hard negative if the anchor
    is not among the r nearest other images of j; the first one is taken. Equal distances rank by index.

    Args:
        r: the length of the candidate's list that must not hold the anchor, at least 1.

    Raises:
        ValueError: for r below 1.

    Example:
        >>> CyclicRankingMiner(r=1)(torch.tensor([[0.], [1.], [1.1]]))
        tensor([ 1, -1,  0])
    """

    def __init__(self, r: int = 3) -> None:
        super().__init__()
        if r < 1:
            raise ValueError(f'CyclicRankingMiner: r must be at least 1, got {r}')
        self.r = r

    @torch.no_grad()
    def forward(self, features: Tensor) -> Tensor:
        """
        Args:
            features: (B, E), one descriptor an image.

        Returns:
            (B,) int64, the index of each anchor's negative, -1 where no candidate passes.
        """
        if features.dtype != torch.float64:
            features = features.float()
        # The difference, not the product: near neighbours must not change their order by rounding.
        distances = torch.cdist(features, features, compute_mode='donot_use_mm_for_euclid_dist')
        distances.fill_diagonal_(torch.inf)
        order = distances.argsort(dim=1, stable=True)
        near = torch.zeros_like(distances, dtype=torch.bool)
        near.scatter_(1, order[:, : self.r], True)  # near[j, i]: i is among the r nearest of j
        hard = ~near.T.fill_diagonal_(True)
        nearest_hard = distances.masked_fill(~hard, torch.inf).argmin(1)
        return nearest_hard.masked_fill(~hard.any(1), -1)

    def extra_repr(self) -> str:
        return f'r={self.r}'
