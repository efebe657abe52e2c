"""A 3x3 convolution with fixed weights as 16 matrix products: Winograd's F(2x2, 3x3), 2.25 times fewer multiplications.

The PGN's one large convolution is fixed in the unsupervised stage, and beside the backbone it takes more time than all
else there. The identity is exact (Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016): a 2x2
tile of the output is A'[(G w G') * (B'xB)]A, with x the 4x4 tile of the input, w the 3x3 weights, and * per element;
the sum over the input channels makes each of the 16 elements a matrix product.
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_G = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))


@torch.no_grad()
def transform_weights(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """G w G': (O, C, 3, 3) -> (16, C, O), 16/9 of the weights' memory."""
    g = weight.new_tensor(_G)
    rows = torch.einsum('ai,ocij->acoj', g, weight)
    return torch.einsum('acoj,bj->abco', rows, g).flatten(0, 1).to(dtype)


def _input_tiles(x: Tensor) -> Tensor:
    """B'xB of each 4x4 tile of a (B, H, W, C) map with a step of 2: (16, B, h, w, C)."""
    height, width = x.shape[1] - 2, x.shape[2] - 2
    r = [x[:, i : i + height : 2] for i in range(4)]
    tiles = x.new_empty(4, 4, len(x), height // 2, width // 2, x.shape[3])
    for i, row in enumerate((r[0] - r[2], r[1] + r[2], r[2] - r[1], r[1] - r[3])):
        c = [row[:, :, j : j + width : 2] for j in range(4)]
        torch.sub(c[0], c[2], out=tiles[i, 0])
        torch.add(c[1], c[2], out=tiles[i, 1])
        torch.sub(c[2], c[1], out=tiles[i, 2])
        torch.sub(c[1], c[3], out=tiles[i, 3])
    return tiles.flatten(0, 1)


def _input_tiles_backward(grad: Tensor) -> Tensor:
    """The transpose of `_input_tiles`: (16, B, h, w, C) -> (B, H, W, C)."""
    grad = grad.unflatten(0, (4, 4))
    _, _, batch, tall, wide, channels = grad.shape
    rows = grad.new_zeros(4, batch, tall, 2 * wide + 2, channels)
    c = grad.unbind(1)
    for j, part in enumerate((c[0], c[1] - c[2] + c[3], c[1] + c[2] - c[0], -c[3])):
        rows[:, :, :, j : j + 2 * wide : 2] += part
    x = grad.new_zeros(batch, 2 * tall + 2, 2 * wide + 2, channels)
    for i, part in enumerate((rows[0], rows[1] - rows[2] + rows[3], rows[1] + rows[2] - rows[0], -rows[3])):
        x[:, i : i + 2 * tall : 2] += part
    return x


def _output(products: Tensor) -> Tensor:
    """A'yA of each tile: (16, B, h, w, O) -> (B, 2h, 2w, O)."""
    y = products.unflatten(0, (4, 4))
    _, _, batch, tall, wide, channels = y.shape
    out = y.new_empty(batch, tall, 2, wide, 2, channels)
    for i, row in enumerate((y[0] + y[1] + y[2], y[1] - y[2] - y[3])):
        out[:, :, i, :, 0] = row[0] + row[1] + row[2]
        out[:, :, i, :, 1] = row[1] - row[2] - row[3]
    return out.view(batch, 2 * tall, 2 * wide, channels)


def _output_backward(grad: Tensor) -> Tensor:
    """The transpose of `_output`: (B, 2h, 2w, O) -> (16, B, h, w, O)."""
    batch, height, width, channels = grad.shape
    parts = grad.view(batch, height // 2, 2, width // 2, 2, channels)
    y = grad.new_empty(4, 4, batch, height // 2, width // 2, channels)
    top, bottom = parts[:, :, 0], parts[:, :, 1]
    for i, row in enumerate((top, top + bottom, top - bottom, -bottom)):
        left, right = row[:, :, :, 0], row[:, :, :, 1]
        y[i, 0] = left
        torch.add(left, right, out=y[i, 1])
        torch.sub(left, right, out=y[i, 2])
        torch.neg(right, out=y[i, 3])
    return y.flatten(0, 1)


class _FrozenConv3x3(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(weight)
        ctx.dtype, (height, width) = x.dtype, x.shape[2:]
        wide = x.dtype if x.dtype == torch.float64 else torch.float32
        nhwc = x.permute(0, 2, 3, 1).to(wide)
        ctx.padding = (height % 2, width % 2)  # an odd map gets a row or column of zeros, and its output loses one
        if any(ctx.padding):
            nhwc = torch.nn.functional.pad(nhwc, (0, 0, 0, width % 2, 0, height % 2))
        tiles = _input_tiles(nhwc)
        products = torch.bmm(tiles.flatten(1, 3).to(weight.dtype), weight)
        out = _output(products.unflatten(1, tiles.shape[1:4]).to(wide))
        out = out[:, : height - 2, : width - 2] + bias
        return out.to(x.dtype).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (weight,) = ctx.saved_tensors
        wide = torch.float64 if grad.dtype == torch.float64 else torch.float32
        nhwc = grad.permute(0, 2, 3, 1).to(wide)
        if any(ctx.padding):
            nhwc = torch.nn.functional.pad(nhwc, (0, 0, 0, ctx.padding[1], 0, ctx.padding[0]))
        products = _output_backward(nhwc.contiguous())
        tiles = torch.bmm(products.flatten(1, 3).to(weight.dtype), weight.transpose(1, 2))
        x = _input_tiles_backward(tiles.unflatten(1, products.shape[1:4]).to(wide))
        x = x[:, : x.shape[1] - ctx.padding[0], : x.shape[2] - ctx.padding[1]]
        return x.to(ctx.dtype).permute(0, 3, 1, 2), None, None


def frozen_conv3x3(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`conv2d(x, w, bias)` with a 3x3 kernel and no padding; gradients for x only.

    Args:
        x: (B, C, H, W), H and W at least 3. Half precision is transformed in float32.
        weight: (16, C, O), of `transform_weights`, in the dtype of the products.
        bias: (O,).

    Returns:
        (B, O, H-2, W-2), channels last, in the dtype of x.
    """
    with torch.autocast(x.device.type, enabled=False):
        return _FrozenConv3x3.apply(x, weight, bias.detach())


class WinogradConv2d(nn.Conv2d):
    """A 3x3 convolution that takes this way while its weights are frozen in training, where that is the faster one.

    Everywhere else, and in its `state_dict`, it is `nn.Conv2d`. The transformed weights, 16/9 of the weights' memory,
    are made once and kept as long as the weights stay the same; they are no state, and no copy takes them along.

    Args:
        in_channels, out_channels: as in `nn.Conv2d`; kernel 3x3, step 1, no padding.
    """

    least_channels = 512  # below, torch's own convolution is as fast; on a GPU cuDNN's always is

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3)
        self._kept: tuple[Tensor, int, Tensor] | None = None  # the weights, their version, transformed

    def _is_frozen(self, x: Tensor) -> bool:
        fixed = self.training and not self.weight.requires_grad
        return fixed and self.in_channels >= self.least_channels and x.device.type == 'cpu'

    def _transformed(self, dtype: torch.dtype) -> Tensor:
        weight = self.weight
        kept = self._kept
        if kept is None or kept[0] is not weight or kept[1] != weight._version or kept[2].dtype != dtype:
            self._kept = kept = (weight, weight._version, transform_weights(weight, dtype))
        return kept[2]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W), H and W at least 3 -> (B, O, H-2, W-2)."""
        if self._is_frozen(x):
            return frozen_conv3x3(x, self._transformed(x.dtype), self.bias)
        self._kept = None
        return super().forward(x)

    def _apply(self, *args, **kwargs) -> 'WinogradConv2d':
        self._kept = None  # `to` and its like give the same parameter other numbers
        return super()._apply(*args, **kwargs)

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_kept': None}
