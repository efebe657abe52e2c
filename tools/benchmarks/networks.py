"""What the network itself takes: describing crops from files, and a training step of a small network, on a CPU."""

import functools
import os
import tempfile
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torchreid
from PIL import Image
from torch import nn

from paul_plugin.data.descriptors import describe
from paul_plugin.data.images import read_image
from paul_plugin.host.data import test_transform

from .parts import Runs
from .sizes import NORM_MEAN, NORM_STD

_CROP = (64, 128)  # pixels, width and height, of Market-1501's crops
_files: list[tempfile.TemporaryDirectory] = []  # held until the program ends


@functools.cache
def _crops(count: int) -> list[str]:
    """Files of random crops."""
    _files.append(tempfile.TemporaryDirectory())
    draw, paths = np.random.default_rng(0), []
    for number in range(count):
        coarse = Image.fromarray(draw.integers(0, 256, (16, 8, 3), np.uint8))
        paths.append(os.path.join(_files[-1].name, f'{number:05d}.jpg'))
        coarse.resize(_CROP, Image.Resampling.BICUBIC).save(paths[-1], quality=90)
    return paths


def _straightforward(model: nn.Module, paths: list[str], transform: Callable, batch_size: int) -> Iterator:
    """Descriptors as a few lines give them: read a batch, show it to the network as it was built."""
    with torch.no_grad():
        for start in range(0, len(paths), batch_size):
            images = torch.stack([transform(read_image(path)) for path in paths[start : start + batch_size]])
            yield model(images)


def bench_describing(name: str, size: tuple[int, int], count: int, batch_size: int) -> Runs:
    """So many crops from files to descriptors, on the CPU, whatever the device; they must be equal to 1e-5."""
    model = torchreid.models.build_model(name, loss='paul', pretrained=False)
    with torch.no_grad():
        model.train()(torch.randn(8, 3, *size))  # norms with statistics of their own
    model.eval()
    paths, transform, found = _crops(count), test_transform(*size, NORM_MEAN, NORM_STD), []

    def run_plain() -> None:
        found[:] = _straightforward(model, paths, transform, batch_size)

    def run_ours() -> None:
        ours = torch.cat([*describe(model, paths, transform, batch_size)])
        if (ours - torch.cat(found)).abs().max() > 1e-5:
            raise ValueError('describe parts from the model')

    return {'plain': run_plain, 'ours': run_ours}


def bench_small_step(device: torch.device) -> Runs:
    """Forward and backward pass of `osnet_x0_25`, 20 images of 256x128, contiguous and channels last."""
    images = torch.randn(20, 3, 256, 128, device=device)
    nets = [torchreid.models.build_model('paul_osnet_x0_25', loss='paul', pretrained=False) for _ in range(2)]

    def run(net: nn.Module) -> None:
        net.zero_grad()
        net(images).square().mean(0).amax().backward()

    plain, ours = (net.to(device) for net in nets)
    ours.to(memory_format=torch.channels_last)
    return {'plain': lambda: run(plain), 'ours': lambda: run(ours)}
