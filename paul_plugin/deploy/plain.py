"""A PatchNet of plain operators for exported files: many runtimes lack those of the training's forms.

The pooling's hat by halves is `where`, `or` and `masked_fill`, its grid `affine_grid`, and `F.normalize` expands a norm
to the batch's number of rows; those, and a batch that is folded into another axis, stop OpenCV 4, ncnn and Core ML, or
give them wrong numbers. Here all of it is products, sums and relus, and the batch is an axis of its own throughout.
"""

import torch
from torch import Tensor, nn

from ..method.patch_generation import FixedPatches
from ..method.patchnet import PatchNet
from ..method.pooling import pooling_weights
from ..method.unit import unit_length


def _positions(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Where a patch's sampling points lie on the map, as a linear layer of its transformation: (2, H*W, 6), (2, H*W).

    The first of two is along the width, the second along the height, in pixels; `affine_grid` with
    `align_corners=True` gives the same from -1 to 1.
    """
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing='ij')
    point = torch.stack([x, y, torch.ones_like(x)], 2).flatten(0, 1)
    half = torch.tensor([width - 1, height - 1]) / 2
    weight = torch.zeros(2, height * width, 6)
    weight[0, :, :3] = point * half[0]
    weight[1, :, 3:] = point * half[1]
    return weight, half.unsqueeze(1).expand(2, height * width).clone()


class PlainPooling(nn.Module):
    """`pool_patches` for maps of one size, without its gradient at the pixels' centres.

    Args:
        height, width: H and W of the feature map.
        patches: M.
    """

    def __init__(self, height: int, width: int, patches: int) -> None:
        super().__init__()
        self.size = height, width
        self.patches = patches
        weight, bias = _positions(height, width)
        for name, axis in (('x', 0), ('y', 1)):
            self.register_buffer(f'{name}_weight', weight[axis].T.contiguous())
            self.register_buffer(f'{name}_bias', bias[axis])
        self.register_buffer('columns', torch.arange(width, dtype=torch.float32).view(1, 1, 1, width))
        self.register_buffer('rows', torch.arange(height, dtype=torch.float32).view(1, 1, height, 1))

    def forward(self, theta: Tensor) -> Tensor:
        """(B, M * 6) -> each pixel's weight in each patch, (B, M, H*W)."""
        points = self.size[0] * self.size[1]
        theta = theta.reshape(-1, self.patches, 6)
        x = (theta @ self.x_weight + self.x_bias).reshape(-1, self.patches, points, 1)
        y = (theta @ self.y_weight + self.y_bias).reshape(-1, self.patches, 1, points)
        wide = torch.relu(1 - (x - self.columns).abs())
        tall = torch.relu(1 - (y - self.rows).abs())
        return (tall @ wide).reshape(-1, self.patches, points) / points


class PlainPatchNet(nn.Module):
    """What a PatchNet describes by, for images of one size; it shares the weights.

    Args:
        model: in eval mode; it stays as it is.
        images: of that size, (B, 3, H, W).
    """

    def __init__(self, model: PatchNet, images: Tensor) -> None:
        super().__init__()
        self.backbone, self.branches = model.backbone, model.branches
        self.channels, height, width = self.backbone.featuremaps(images[:1]).shape[1:]
        self.points = height * width
        self.pgn = model.pgn
        if isinstance(model.pgn, FixedPatches):
            weights = pooling_weights(model.pgn.theta.float().unsqueeze(0), height, width)
            self.register_buffer('weights', weights.flatten(2))
        else:
            self.pool = PlainPooling(height, width, model.num_patches)

    def pooling_weights(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, M, H*W), or (1, M, H*W) for the same patches in every image."""
        if isinstance(self.pgn, FixedPatches):
            return self.weights
        pooled = self.pgn.localization(maps).mean((2, 3))
        return self.pool(self.pgn.regression(pooled.to(self.pgn.regression[0].weight.dtype)))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, M*D), float32."""
        maps = self.backbone.featuremaps(images)
        pixels = maps.reshape(-1, self.channels, self.points).transpose(1, 2)
        pooled = self.pooling_weights(maps).to(maps.dtype) @ pixels
        features = [branch(pooled[:, m]) for m, branch in enumerate(self.branches)]
        return torch.cat([unit_length(part.float()) for part in features], 1)


class UnitInput(nn.Module):
    """Takes the mean off images and divides by the deviation, channel by channel.

    Args:
        mean, std: a number a channel, of images from 0 to 1.
    """

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.register_buffer('mean', torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer('std', torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W), from 0 to 1 -> the same, normalised as torchreid does."""
        return (images - self.mean) / self.std
