"""IPFL as the authors released it: real images and surrogates against the running mean of each image, its centroid."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .ipfl import IPFLLoss
from .memory import PatchMemory
from .miner import CyclicRankingMiner


class CentroidIPFL(nn.Module):
    """IPFL of the release of 2019, with its centroids and its miner.

    Embeddings of real images and of surrogates are anchors, their image's centroid is the positive; negatives are mined
    among the centroids of the batch. An anchor without a negative counts too.

    Args:
        embed: patch features (B, M, D) -> embeddings (B, E).
        num_images: N, of the training data.
        length: E.
        momentum: of the centroids' running mean, as in PatchMemory.
        margin: of IPFLLoss.
        r, max_candidates: of CyclicRankingMiner.
        sharded: with several processes, hold this process' share of the centroids.

    Raises:
        ValueError: for an argument out of range.

    Example:
        >>> model = torchreid.models.build_model('paul_resnet18', loss='paul')
        >>> ipfl = CentroidIPFL(model.embed, num_images=100, length=6 * 128)
        >>> features = torch.nn.functional.normalize(torch.randn(16, 6, 256), dim=2)
        >>> loss, mined = ipfl(features[:8], features[8:], rows=torch.arange(8))
    """

    def __init__(
        self,
        embed: Callable[[Tensor], Tensor],
        num_images: int,
        length: int,
        momentum: float = 0.1,
        margin: float = 2.0,
        r: int = 3,
        max_candidates: int | None = None,
        *,
        sharded: bool = False,
    ) -> None:
        super().__init__()
        self.embed = embed
        self.centroids = PatchMemory(num_images, 1, length, momentum, sharded=sharded)
        self.miner = CyclicRankingMiner(r, max_candidates)
        self.loss = IPFLLoss(margin, count_unmined=True)

    def forward(self, real: Tensor, surrogate: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """
        Args:
            real: (B, M, D), patch features of the real images.
            surrogate: (B, M, D), those of their surrogates.
            rows: (B,) int64, the images' rows; their centroids move.

        Returns:
            (), the loss; (), the share of anchors that have a mined negative.
        """
        of_real, of_surrogate = self.embed(real), self.embed(surrogate)
        self.centroids.update(rows, ((of_real + of_surrogate) / 2).unsqueeze(1))
        candidates = self.centroids.read(rows)[0]
        owners = torch.arange(len(rows), device=rows.device).repeat(2)
        anchors, positives = torch.cat([of_real, of_surrogate]), candidates[owners]
        negatives = self.miner(anchors, candidates, owners)
        return self.loss.mined(anchors, positives, candidates, negatives)

    def gathered_state(self) -> dict[str, dict[str, Tensor]]:
        """What a checkpoint holds of it; all processes call it."""
        return {'centroids': self.centroids.gathered_state()}

    def load_whole(self, checkpoint: dict) -> None:
        """Takes `gathered_state` back, by any number of processes."""
        self.centroids.load_whole(checkpoint['centroids'])
