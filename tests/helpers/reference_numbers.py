"""Reads the reference numbers in tests/reference, and rebuilds the weights behind the PatchNet ones."""

import functools
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch

FOLDER = Path(__file__).parents[1] / 'reference'


def cases(name: str, prefix: str) -> list[dict[str, torch.Tensor]]:
    """The cases (or steps) of one file, each a dictionary of tensors."""
    with np.load(FOLDER / name) as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file.files}
    found, shared = {}, {}
    for key, value in arrays.items():
        head, _, field = key.partition('_')
        if head.startswith(prefix):
            found.setdefault(head, {})[field] = value
        else:
            shared[key] = value
    return [case | shared for case in found.values()]


def load(name: str) -> dict[str, torch.Tensor]:
    with np.load(FOLDER / name) as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


def release_shapes() -> dict[str, list[int]]:
    """Those of the release's state dict."""
    return json.loads((FOLDER / 'checkpoint_keys.json').read_text())


@functools.cache  # drawing 30 million numbers takes seconds
def release_state() -> Mapping[str, torch.Tensor]:
    """A state dict with the release's keys and shapes, filled by the recipe behind the PatchNet numbers.

    It is shared by the tests of a process: none may change a tensor in place.
    """
    shapes = release_shapes().items()
    return MappingProxyType({key: torch.from_numpy(_fill(key.removeprefix('module.'), shape)) for key, shape in shapes})


def _fill(key: str, shape: list[int]) -> np.ndarray:
    random = np.random.RandomState((zlib.crc32(key.encode()) + 1) % 2**32)
    if key.endswith('num_batches_tracked'):
        return np.zeros(shape, np.int64)
    noise = random.standard_normal(shape)
    if key.endswith('running_mean'):
        values = 0.1 * noise
    elif key.endswith('running_var'):
        values = 1 + 0.1 * abs(noise)
    elif key == 'patch_proposal.fc_loc.2.bias':
        stripes = [[1, 0, 0, 0, 1 / 6, (2 * m + 1 - 6) / 6] for m in range(6)]
        values = np.ravel(stripes) + 0.05 * noise
    elif key == 'patch_proposal.fc_loc.2.weight':
        values = 0.02 * noise
    elif len(shape) == 1:
        values = 0.7 + 0.1 * noise if key.endswith('.weight') else 0.1 * noise
    else:
        values = noise * np.sqrt(2 / np.prod(shape[1:]))
    return values.astype(np.float32)
