"""Patch pooling: the average of a bilinear sample of the feature map, as one weighted sum.

Yang et al., CVPR 2019, section 3.1:
https://openaccess.thecvf.com/content_CVPR_2019/html/Yang_Patch-Based_Discriminative_Feature_Learning_for_Unsupervised_Person_Re-Identification_CVPR_2019_paper.html
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def _hat(position: Tensor, size: int) -> Tensor:
    """Bilinear weight of every pixel 0..size-1 at each position: (...,) -> (..., size).

    Written by halves, t in [-1, 0) and [0, 1), because the derivative at a pixel's centre is then the right-hand
    one, as in `grid_sample`; a product of relus would have none there, and the initial stripes sit on centres.
    """
    t = position.unsqueeze(-1) - torch.arange(size, dtype=position.dtype, device=position.device)
    weight = torch.where(t < 0, 1 + t, 1 - t)
    return weight.masked_fill((t < -1) | (t >= 1), 0)


def pooling_weights(theta: Tensor, height: int, width: int) -> Tensor:
    """Weight of every feature-map pixel in each patch's average.

    Args:
        theta: (B, M, 2, 3) affine transformations, patch to image, in `affine_grid`'s coordinates
            (-1..1, `align_corners=True`).
        height: H of the feature map, which is also the sampling grid's.
        width: W, likewise.

    Returns:
        (B, M, H, W). Sums to 1 per patch where the grid lies inside the map, to less where it does not.
    """
    batch, patches = theta.shape[:2]
    grid = F.affine_grid(theta.flatten(0, 1), [batch * patches, 1, height, width], align_corners=True)
    x = (grid[..., 0].flatten(1) + 1) / 2 * (width - 1)
    y = (grid[..., 1].flatten(1) + 1) / 2 * (height - 1)
    weights = _hat(y, height).transpose(1, 2) @ _hat(x, width) / (height * width)
    return weights.view(batch, patches, height, width)


def pool_patches(features: Tensor, theta: Tensor) -> Tensor:
    """Average of the bilinear sample of each patch (paper, section 3.1), without sampling it.

    The mean over a sampling grid is linear in the feature map: equal to
    `grid_sample(features, affine_grid(theta[:, m], ...), align_corners=True).mean((2, 3))` for each patch m,
    with the same gradients for both arguments, but it never makes the M sampled maps.

    Args:
        features: (B, C, H, W).
        theta: (B, M, 2, 3).

    Returns:
        (B, M, C) in the features' dtype.

    Raises:
        ValueError: if the shapes do not fit.

    Example:
        >>> whole = torch.tensor([[[[1., 0, 0], [0, 1, 0]]]])
        >>> pool_patches(torch.ones(1, 5, 8, 4), whole).shape
        torch.Size([1, 1, 5])
    """
    if features.dim() != 4 or theta.dim() != 4 or theta.shape[2:] != (2, 3) or theta.shape[0] != features.shape[0]:
        raise ValueError(
            f'pool_patches needs features (B,C,H,W) and theta (B,M,2,3), got {tuple(features.shape)} '
            f'and {tuple(theta.shape)}'
        )
    height, width = features.shape[2:]
    with torch.autocast(features.device.type, enabled=False):  # half precision has too few bits for coordinates
        weights = pooling_weights(theta if theta.dtype == torch.float64 else theta.float(), height, width)
    return weights.to(features.dtype).flatten(2) @ features.flatten(2).transpose(1, 2)
