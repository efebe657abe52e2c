"""PatchNet in half precision, with float32 where float16 has too few bits."""

import copy

import torch
from torch import Tensor, nn

from ..method.patchnet import PatchNet
from .plain import PlainPatchNet


class FloatNorm(nn.Module):
    """BatchNorm in eval mode, computed in float32, given back in the type of its input.

    One factor and one summand a channel: an exporter that finds a BatchNorm behind a convolution makes one of the two,
    and onnxscript 0.7 makes one with weights in float32 of a convolution in float16.

    Args:
        norm: the BatchNorm that it stands for.
    """

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        super().__init__()
        scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
        self.register_buffer('scale', scale)
        self.register_buffer('shift', norm.bias.detach() - norm.running_mean * scale)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C) or (B, C, H, W) -> the same."""
        scale, shift = (values.view(-1, *[1] * (x.dim() - 2)) for values in (self.scale, self.shift))
        return (x.float() * scale + shift).to(x.dtype)


class HalfPatchNet(nn.Module):
    """A copy of a PatchNet in eval mode whose convolutions and linear layers are in float16.

    In float32 are what it takes and gives, BatchNorm, the coordinates of the patches with the layers that predict
    them, and the last normalisation.

    Args:
        model: stays as it is.
    """

    def __init__(self, model: PatchNet | PlainPatchNet) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        for name, module in model.named_modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                self.model.set_submodule(name, FloatNorm(module))
        coordinates = set(getattr(self.model.pgn, 'regression', ()))
        for module in self.model.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)) and module not in coordinates:
                module.half()
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, M*D), both float32."""
        return self.model(images.to(torch.float16))
