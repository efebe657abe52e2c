"""The triplet loss of the supervised pre-training, with the nearest positive, as the release has it.

Yang et al., CVPR 2019, the code released with it:
https://openaccess.thecvf.com/content_CVPR_2019/html/Yang_Patch-Based_Discriminative_Feature_Learning_for_Unsupervised_Person_Re-Identification_CVPR_2019_paper.html
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class NearestTripletLoss(nn.Module):
    """`max(0, margin + d(nearest same label) - d(nearest other label))`, mean over the rows that have both.

    Rows are L2-normalised first, and a distance is `sqrt(|a - b|^2 + 1e-5)`. torchreid's own TripletLoss takes the
    farthest positive; the nearest one asks an identity to be a chain of similar images, not a ball.

    Args:
        margin: at least 0.

    Raises:
        ValueError: for a negative margin.

    Example:
        >>> NearestTripletLoss(margin=1.0)(torch.randn(4, 768), torch.tensor([0, 0, 1, 1]))
    """

    def __init__(self, margin: float = 1.0) -> None:
        super().__init__()
        if margin < 0:
            raise ValueError(f'NearestTripletLoss: margin must be at least 0, got {margin}')
        self.margin = margin

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """
        Args:
            features: (B, E).
            labels: (B,) int64, person ids.

        Returns:
            (), 0 if no row has both a positive and a negative.
        """
        if features.dtype != torch.float64:
            features = features.float()
        with torch.autocast(features.device.type, enabled=False):
            rows = F.normalize(features, dim=1)
            squared = (2 - 2 * rows @ rows.T).clamp(min=0)  # of unit vectors
            distances = (squared + 1e-5).sqrt()
        same = labels[:, None] == labels
        own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        positive = distances.masked_fill(~same | own, torch.inf).amin(1)
        negative = distances.masked_fill(same, torch.inf).amin(1)
        valid = (positive < torch.inf) & (negative < torch.inf)
        hinge = (self.margin + positive - negative).clamp(min=0)
        return torch.where(valid, hinge, 0).sum() / valid.sum().clamp(min=1)

    def extra_repr(self) -> str:
        return f'margin={self.margin}'
