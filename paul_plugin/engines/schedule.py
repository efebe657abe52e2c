"""Learning rates by part of PatchNet and by epoch, and the warm-up, for the supervised pre-training."""

import functools
from collections.abc import Sequence

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ChainedScheduler, LambdaLR, LinearLR, LRScheduler

PARTS = ('pgn', 'backbone', 'heads')  # heads: branches, classifiers, embeddings; last, whose rate torchreid prints
Steps = Sequence[tuple[int, float]]  # (epoch, counted from 0, from which on the rate holds; rate)


def part_of(name: str) -> str:
    """The part of PatchNet that a parameter belongs to, by the parameter's name."""
    child = name.removeprefix('module.').partition('.')[0]
    return child if child in PARTS else 'heads'


def learning_rate(steps: Steps, epoch: int, warmup_epochs: int = 0) -> float:
    """The rate in an epoch; a warm-up raises it from a tenth to the whole over its epochs, in a line."""
    rate = [rate for start, rate in steps if start <= epoch][-1]
    return rate * min(1.0, 0.1 + 0.9 * epoch / warmup_epochs) if warmup_epochs else rate


def schedule_parts(
    optimizer: Optimizer, model: nn.Module, schedule: dict[str, Steps], warmup_epochs: int = 0
) -> LRScheduler:
    """Splits an optimizer's one group of parameters into PatchNet's parts, each with its own rates.

    torchreid's `staged_lr` knows two parts with one ratio; this takes any of its optimizers further.

    Args:
        optimizer: torchreid's, of all the model's parameters; gets one group a part, named by its `part`.
        model: a PatchNet.
        schedule: part -> steps, the first of them at epoch 0.
        warmup_epochs: epochs of the warm-up.

    Returns:
        The scheduler, to be stepped once an epoch.
    """
    options = optimizer.param_groups.pop()
    members = {part: [] for part in PARTS}
    for name, parameter in model.named_parameters():
        members[part_of(name)].append(parameter)
    parts = [part for part in PARTS if members[part]]  # fixed patches have no parameters
    for part in parts:
        optimizer.add_param_group({**options, 'params': members[part], 'lr': 1.0, 'part': part})
    rates = [functools.partial(learning_rate, schedule[part], warmup_epochs=warmup_epochs) for part in parts]
    return LambdaLR(optimizer, rates)


def warm_up(optimizer: Optimizer, scheduler: LRScheduler, warmup_epochs: int) -> LRScheduler:
    """Adds the warm-up to torchreid's own scheduler."""
    warming = LinearLR(optimizer, start_factor=0.1, total_iters=warmup_epochs)
    return ChainedScheduler([warming, scheduler], optimizer=optimizer)
