"""Descriptors by onnxruntime in the place of torch, which on a CPU is several times as fast for small networks."""

import importlib.util
import io

import torch
from torch import Tensor, nn

from ..run.trained import Trained
from ..runtime.choices import RUNTIMES
from ..runtime.errors import UserError, import_optional, is_out_of_memory, reason
from .export import compare, plain, portable, sample_images
from .formats import FORMATS, read_onnx, write_onnx

LARGEST_DIFFERENCE = 1e-5  # of a descriptor's number to the one of torch
WORTH = 4096  # images from which on `auto` takes the time to export a model, some 20 s
_NEEDED = FORMATS['.onnx'].packages


class OnnxModel(nn.Module):
    """What a model describes, described by onnxruntime on the CPU; it is one to `describe` and has no gradient.

    Args:
        model: in eval mode; it stays as it is.
        images: that it is exported with, (B, 3, H, W), B of at least 2.

    Raises:
        Exception: many of torch, onnx and onnxruntime, for a model that they do not take.
    """

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        super().__init__()
        self.network = portable(model)  # its device is this module's
        self.feature_dim = model.feature_dim
        file = io.BytesIO()
        write_onnx(plain(self.network, images), images[:2].clone(), '', file)
        self._describe, _ = read_onnx(file.getvalue())

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, E)."""
        return self._describe(images)


def at_runtime(asked: str, trained: Trained, count: int) -> tuple[str, Trained]:
    """The runtime, `onnx` or `torch`, for so many images, and the same with a model that it computes.

    `auto` is onnx where it is installed, the model is on the CPU and the images are worth the time of an export; where
    that fails it says so and is torch.

    Raises:
        UserError: for another word; if onnx is asked for and something of it is missing, or as `with_onnx`.
    """
    if asked not in RUNTIMES:
        raise UserError(f'--runtime {asked}: must be one of {", ".join(RUNTIMES)}')
    if asked == 'auto':
        there = all(importlib.util.find_spec(name) for name in _NEEDED)
        if not there or trained.device.type != 'cpu' or count < WORTH:
            return 'torch', trained
        try:
            return 'onnx', with_onnx(trained)
        except UserError as error:
            print(f'{error}, as is done')
            return 'torch', trained
    if asked == 'torch':
        return asked, trained
    for package in _NEEDED:
        import_optional(package)
    return asked, with_onnx(trained)


@torch.no_grad()
def with_onnx(trained: Trained) -> Trained:
    """The same with a model that onnxruntime computes, its descriptors equal to `LARGEST_DIFFERENCE`.

    Raises:
        UserError: in one line, if the model cannot be exported, or its descriptors differ by more.

    Example:
        >>> fast = with_onnx(open_trained('log/paul_synthetic'))
    """
    images = sample_images(trained)
    try:
        model = OnnxModel(trained.model, images).eval()
        difference = compare(model, model.network, images)[1]
    except Exception as error:  # exporters fail in many ways at a network that they do not take
        if is_out_of_memory(error):
            raise
        raise UserError(f'--runtime onnx: {type(error).__name__}: {reason(error, 300)}: set --runtime torch') from None
    if not difference <= LARGEST_DIFFERENCE:
        raise UserError(
            f'--runtime onnx: its descriptors differ from those of torch by {difference:.2g}, more than '
            f'{LARGEST_DIFFERENCE:g}: set --runtime torch'
        )
    return trained._replace(model=model)
