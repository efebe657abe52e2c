"""Patch sources: where the M patches of an image lie, learned (PGN) or fixed.

Yang et al., CVPR 2019, section 3.1:
https://openaccess.thecvf.com/content_CVPR_2019/html/Yang_Patch-Based_Discriminative_Feature_Learning_for_Unsupervised_Person_Re-Identification_CVPR_2019_paper.html
"""

import torch
from torch import Tensor, nn

from ..runtime.choices import PATCH_SOURCES
from .winograd import WinogradConv2d


def stripes(num_patches: int) -> Tensor:
    """Affine transformations of M equal horizontal stripes: (M, 2, 3)."""
    theta = torch.zeros(num_patches, 2, 3)
    theta[:, 0, 0] = 1
    theta[:, 1, 1] = 1 / num_patches
    theta[:, 1, 2] = (2 * torch.arange(num_patches) + 1 - num_patches) / num_patches
    return theta


def bands(num_patches: int, share: float = 1 / 3) -> Tensor:
    """Affine transformations of M horizontal bands, evenly from the top edge to the bottom edge: (M, 2, 3).

    Beside the paper, for a model without a trained PGN: a head that was trained on whole images describes a third of
    one better than a sixth.

    Args:
        num_patches: M.
        share: of the image's height that a band has; at least 1 / M, so that the bands cover the image.
    """
    share = max(share, 1 / num_patches)
    theta = stripes(num_patches)
    theta[:, 1, 1] = share
    if num_patches > 1:
        theta[:, 1, 2] = torch.linspace(share - 1, 1 - share, num_patches)
    return theta


def random_boxes(num_patches: int) -> Tensor:
    """Affine transformations of M random upright boxes within the image, drawn from torch's generator: (M, 2, 3)."""
    size = 0.2 + 0.5 * torch.rand(num_patches, 2)  # share of the width and the height
    centre = (2 * torch.rand(num_patches, 2) - 1) * (1 - size)
    return torch.cat([torch.diag_embed(size), centre.unsqueeze(2)], 2)


class PatchGenerationNetwork(nn.Module):
    """PGN: predicts where the M patches of each image lie (paper, section 3.1).

    It starts at M horizontal stripes, whatever the image.

    Args:
        channels: C of the feature map.
        num_patches: M.
    """

    def __init__(self, channels: int, num_patches: int) -> None:
        super().__init__()
        self.localization = nn.Sequential(
            WinogradConv2d(channels, 2 * channels),
            nn.BatchNorm2d(2 * channels),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.regression = nn.Sequential(
            nn.Linear(2 * channels, 512), nn.ReLU(inplace=True), nn.Linear(512, 6 * num_patches)
        )
        self.start_at(stripes(num_patches))

    @torch.no_grad()
    def start_at(self, theta: Tensor) -> None:
        """Has it give the same patches, (M, 2, 3), for every image, whatever it has learned."""
        last = self.regression[2]
        nn.init.zeros_(last.weight)
        last.bias.copy_(theta.flatten())

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W), H and W at least 3 -> theta (B, M, 2, 3)."""
        pooled = self.localization(maps).mean((2, 3))
        with torch.autocast(maps.device.type, enabled=False):  # half precision has too few bits for coordinates
            theta = self.regression(pooled.to(self.regression[0].weight.dtype))
        return theta.unflatten(1, (-1, 2, 3))


class FixedPatches(nn.Module):
    """The same M patches for every image, for the ablations (paper, section 4.4)."""

    def __init__(self, theta: Tensor) -> None:
        super().__init__()
        self.register_buffer('theta', theta)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) -> theta (B, M, 2, 3)."""
        return self.theta.expand(maps.shape[0], -1, -1, -1)


def build_patch_source(name: str, channels: int, num_patches: int) -> nn.Module:
    """Builds `pgn`, `stripe`, `band` or `random`.

    Raises:
        ValueError: for another name.
    """
    if name == 'pgn':
        return PatchGenerationNetwork(channels, num_patches)
    if name == 'stripe':
        return FixedPatches(stripes(num_patches))
    if name == 'band':
        return FixedPatches(bands(num_patches))
    if name == 'random':
        return FixedPatches(random_boxes(num_patches))
    raise ValueError(f'patch_source must be one of {PATCH_SOURCES}, got {name!r}')
