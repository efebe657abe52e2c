"""Cyclic ranking: mines a hard negative for each image of a batch, without labels.

Yang et al., CVPR 2019, section 3.3:
https://openaccess.thecvf.com/content_CVPR_2019/html/Yang_Patch-Based_Discriminative_Feature_Learning_for_Unsupervised_Person_Re-Identification_CVPR_2019_paper.html
"""

import torch
from torch import Tensor, nn

from .numbers import check_at_least_1


class CyclicRankingMiner(nn.Module):
    """Hard negative mining by cyclic ranking (paper, section 3.3).

    Each anchor walks its list of the other images from the nearest on. Candidate j is a hard negative if the anchor
    is not among the r nearest other images of j; the first one is taken. Equal distances rank by index.

    Args:
        r: the length of the candidate's list that must not hold the anchor, at least 1.
        max_candidates: how many candidates an anchor tries; None for all.

    Raises:
        ValueError: for a number below 1.

    Example:
        >>> CyclicRankingMiner(r=1)(torch.tensor([[0.0], [1.0], [1.1]]))
        tensor([ 1, -1,  0])
    """

    def __init__(self, r: int = 3, max_candidates: int | None = None) -> None:
        super().__init__()
        check_at_least_1('CyclicRankingMiner', r=r, max_candidates=max_candidates)
        self.r = r
        self.max_candidates = max_candidates

    @torch.no_grad()
    def forward(self, features: Tensor, candidates: Tensor | None = None, owners: Tensor | None = None) -> Tensor:
        """
        Args:
            features: (A, E), the anchors: one descriptor an image.
            candidates: (B, E), one an image, if they are not the anchors themselves. The candidates' lists rank
                candidates.
            owners: (A,) int64, the candidate that is each anchor's own image; needed with `candidates`.

        Returns:
            (A,) int64, the index of each anchor's negative among the candidates, -1 where none passes.
        """
        among = _squared_distances(features if candidates is None else candidates)
        among.fill_diagonal_(torch.inf)
        if candidates is None:
            to_candidates, owners = among, torch.arange(len(features), device=features.device)
        else:
            to_candidates = _squared_distances(features, candidates)
            to_candidates.scatter_(1, owners[:, None], torch.inf)
        near = torch.eye(len(among), dtype=torch.bool, device=among.device)  # [j, i]: i is among the r nearest of j
        rest = among.clone()
        for _ in range(min(self.r, len(among))):  # r is small: cheaper than a sort
            nearest = rest.argmin(1, keepdim=True)
            near.scatter_(1, nearest, True)
            rest.scatter_(1, nearest, torch.inf)
        hard = ~near.T[owners]  # (A, B)
        if self.max_candidates is not None and self.max_candidates < hard.shape[1]:
            beyond = to_candidates.argsort(dim=1, stable=True)[:, self.max_candidates :]
            hard.scatter_(1, beyond, False)
        nearest_hard = to_candidates.masked_fill(~hard, torch.inf).argmin(1)
        return nearest_hard.masked_fill(~hard.any(1), -1)

    def extra_repr(self) -> str:
        return f'r={self.r}, max_candidates={self.max_candidates}'


def _squared_distances(a: Tensor, b: Tensor | None = None) -> Tensor:
    """Squared Euclidean distances, in float64: the product form must not change the order of near neighbours."""
    a = a.double()
    b = a if b is None else b.double()
    norms_a, norms_b = (torch.einsum('ae,ae->a', x, x) for x in (a, b))  # without the squares' memory
    return torch.addmm(norms_a[:, None] + norms_b, a, b.T, alpha=-2)
