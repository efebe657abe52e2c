"""IPFL, the image-level patch feature learning loss: a triplet loss on surrogate positives and mined negatives."""

import torch
from torch import Tensor, nn

from .miner import CyclicRankingMiner


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

    def mined(self, anchors: Tensor, positives: Tensor, candidates: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
        """The loss with negatives as a miner gives them, by index.

        Args:
            anchors, positives: (A, E).
            candidates: (B, E), what the negatives were mined among.
            negatives: (A,) int64, their indices among the candidates, -1 for none.

        Returns:
            (), the loss; (), the share of anchors that have a negative.
        """
        valid = negatives >= 0
        chosen = candidates.index_select(0, negatives.clamp(min=0))
        return self(anchors, positives, chosen, valid=valid), valid.float().mean()

    def extra_repr(self) -> str:
        return f'margin={self.margin}, count_unmined={self.count_unmined}'


class DescriptorIPFL(nn.Module):
    """IPFL as the paper has it: among the images of a batch, by their descriptors, with its miner.

    The descriptors of real images are anchors, those of their surrogates the positives; negatives are mined among the
    anchors.

    Args:
        margin: of IPFLLoss.
        r, max_candidates: of CyclicRankingMiner.

    Raises:
        ValueError: for an argument out of range.

    Example:
        >>> features = torch.nn.functional.normalize(torch.randn(16, 6, 256), dim=2)
        >>> loss, mined = DescriptorIPFL()(features[:8], features[8:], rows=torch.arange(8))
    """

    def __init__(self, margin: float = 2.0, r: int = 3, max_candidates: int | None = None) -> None:
        super().__init__()
        self.miner = CyclicRankingMiner(r, max_candidates)
        self.loss = IPFLLoss(margin)

    def forward(self, real: Tensor, surrogate: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """
        Args:
            real: (B, M, D), patch features of the real images.
            surrogate: (B, M, D), those of their surrogates.
            rows: (B,) int64, the images' rows in the bank, which are not needed here.

        Returns:
            (), the loss; (), the share of anchors that have a mined negative.
        """
        anchors, positives = real.flatten(1), surrogate.flatten(1)
        negatives = self.miner(anchors)
        return self.loss.mined(anchors, positives, anchors, negatives)

    def gathered_state(self) -> dict[str, dict[str, Tensor]]:
        """What a checkpoint holds of it: nothing."""
        return {}

    def load_whole(self, checkpoint: dict) -> None:
        """Takes `gathered_state` back."""
