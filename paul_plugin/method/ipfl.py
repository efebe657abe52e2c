"""IPFL, the image-level patch feature learning loss: a triplet loss on surrogate positives and mined negatives."""

import torch
from torch import Tensor, nn


class IPFLLoss(nn.Module):
    """Image-level patch feature learning loss (paper, section 3.3).

    `max(0, margin + |a - p| - |a - n|)`, Euclidean, mean over the anchors that have a negative.

    Args:
        margin: m, at least 0.
        count_unmined: let an anchor without a negative count `margin + |a - p|`, as the release does, instead of
            leaving it out of the mean.

    Raises:
        ValueError: for a negative margin.

    Example:
        >>> images, surrogates = torch.randn(8, 1536), torch.randn(8, 1536)
        >>> negatives = CyclicRankingMiner()(images)
        >>> IPFLLoss()(images, surrogates, images[negatives.clamp(min=0)], valid=negatives >= 0)
    """

    def __init__(self, margin: float = 2.0, count_unmined: bool = False) -> None:
        super().__init__()
        if margin < 0:
            raise ValueError(f'IPFLLoss: margin must be at least 0, got {margin}')
        self.margin = margin
        self.count_unmined = count_unmined

    def forward(self, anchors: Tensor, positives: Tensor, negatives: Tensor, valid: Tensor | None = None) -> Tensor:
        """
        Args:
            anchors: (B, E), descriptors of real images.
            positives: (B, E), those of their surrogates.
            negatives: (B, E), those of their mined negatives.
            valid: (B,) bool, the anchors that have a negative; None for all.

        Returns:
            (), 0 if no anchor counts.
        """
        to_positive = torch.linalg.vector_norm(anchors - positives, dim=1)
        to_negative = torch.linalg.vector_norm(anchors - negatives, dim=1)
        hinge = (self.margin + to_positive - to_negative).clamp(min=0)
        if valid is None:
            return hinge.mean()
        if self.count_unmined:
            return torch.where(valid, hinge, self.margin + to_positive).mean()
        return hinge.masked_fill(~valid, 0).sum() / valid.sum().clamp(min=1)

    def extra_repr(self) -> str:
        return f'margin={self.margin}, count_unmined={self.count_unmined}'
