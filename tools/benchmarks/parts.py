"""The parts of the method, each by both implementations."""

from collections.abc import Callable

import numpy as np
import torch
import torchreid
from torch import Tensor

from paul_plugin.host.evaluation import fast_rank
from paul_plugin.method.patch_generation import random_boxes
from paul_plugin.method.pooling import pool_patches

from .ours import filled_memory, our_ipfl, our_pedal, unit_features
from .sizes import GALLERY, MARKET, QUERY, D, M
from .straightforward import PlainMemory, plain_ipfl, plain_pedal, plain_pooling

Runs = dict[str, Callable[[], object]]  # 'plain' and 'ours', each runs once


def bench_pooling(device: torch.device) -> Runs:
    """Patch pooling, forward and backward."""
    features = torch.randn(8, 2048, 24, 8, device=device, requires_grad=True)
    theta = (random_boxes(M) + 0.05 * torch.randn(8, M, 2, 3)).to(device).requires_grad_()

    def run(pool: Callable[[Tensor, Tensor], Tensor]) -> None:
        features.grad = theta.grad = None
        pool(features, theta).square().sum().backward()

    return {'plain': lambda: run(plain_pooling), 'ours': lambda: run(pool_patches)}


def bench_pedal(device: torch.device, images: int = MARKET, batch: int = 40) -> Runs:
    """A step of the bank and PEDAL, forward and backward; beyond the size of Market-1501 only ours."""
    features = unit_features(batch, M, D, device=device).requires_grad_()
    memory = filled_memory(unit_features(M, images, D, device=device))
    rows = torch.randperm(images, device=device)[:batch]
    plain = PlainMemory(memory.bank.clone()) if images <= MARKET else None

    def run_plain() -> None:
        features.grad = None
        plain_pedal(features, plain.update(rows, features), rows).backward()

    def run_ours() -> None:
        features.grad = None
        our_pedal(memory, features, rows).backward()

    return {'plain': run_plain, 'ours': run_ours} if plain else {'ours': run_ours}


def bench_ipfl(device: torch.device, batch: int) -> Runs:
    """Cyclic ranking and IPFL, forward and backward."""
    anchors = unit_features(batch, M, D, device=device).flatten(1).requires_grad_()
    positives = unit_features(batch, M, D, device=device).flatten(1)

    def run(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        anchors.grad = None
        loss(anchors, positives).backward()

    return {'plain': lambda: run(plain_ipfl), 'ours': lambda: run(our_ipfl)}


def bench_ranking(device: torch.device) -> Runs:
    """CMC and mAP of random distances, by torchreid's Python evaluation and by ours, on the CPU; they must be equal."""
    draw = np.random.default_rng(0)
    distances = draw.random((QUERY, GALLERY), np.float32)
    whose = [draw.integers(0, most, size) for most in (751, 6) for size in (QUERY, GALLERY)]  # people, cameras
    found = []

    def run_plain() -> None:
        found[:] = torchreid.metrics.evaluate_rank(distances, *whose, use_cython=False)

    def run_ours() -> None:
        cmc, mean_ap = fast_rank(distances, *whose)
        if not np.array_equal(cmc, found[0]) or mean_ap != found[1]:
            raise ValueError('fast_rank parts from torchreid')

    return {'plain': run_plain, 'ours': run_ours}
