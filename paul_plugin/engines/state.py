"""An engine's state: what a checkpoint holds beside the weights, its return, and the refusal of what no run saved."""

import sys
from collections.abc import Mapping

import torch
import torchreid
from torch import Tensor

from ..host.engine import unwrap
from ..runtime import processes, randomness

VERSION = 1  # of what a checkpoint holds
_TYPES = {'epoch': int, 'seed': int, 'history': list, 'best': float, 'summaries': list, 'random': dict}
_MOST_EPOCHS = 1_000_000


def software() -> dict[str, str]:
    """The versions that the last bits of a result depend on."""
    package = sys.modules['paul_plugin']
    packages = {'paul_plugin': package, 'torch': torch, 'torchreid': torchreid}
    return {name: str(package.__version__) for name, package in packages.items()}  # torch's is a class of its own


def state_of(engine, rank1: float = 0.0) -> dict:
    """Everything that the rest of a run depends on; all processes call it."""
    return {
        'state_dict': unwrap(engine.model).state_dict(),  # torchreid's readers know these five
        'epoch': engine.done[0],
        'rank1': float(rank1),  # a NumPy scalar of torchreid's would not be read by torch.load
        'optimizer': engine.optimizer.state_dict(),
        **({} if engine.scheduler is None else {'scheduler': engine.scheduler.state_dict()}),
        'version': VERSION,
        'software': software(),
        'config': engine.config,
        'images': engine.images_digest,
        'files': engine.files_digest,
        'seed': engine.seed,
        'summaries': engine.summaries,
        'random': randomness.get_states(),
        'history': engine.history,
        'best': engine.best,
        **engine.extra_state(),
        **{observer.key: observer.state_dict() for observer in engine.observers if observer.key},
    }


def restore(engine, checkpoint: dict) -> None:
    """Puts an engine into the state that `state_of` returned.

    Raises:
        KeyError, RuntimeError, TypeError, ValueError: if the checkpoint is damaged, or of another model, optimizer
            or set of images.
    """
    check_state(checkpoint, len(engine.datamanager.train_loader))
    if checkpoint['images'] != engine.images_digest:
        raise ValueError('it is of other training images, by their number or their names')
    check_finite(checkpoint['state_dict'])
    for own, other in zip(engine.optimizer.param_groups, checkpoint['optimizer']['param_groups']):
        check_alike(own, other, 'optimizer')
    if engine.scheduler is not None:
        check_alike(engine.scheduler.state_dict(), checkpoint['scheduler'], 'scheduler')
    randomness.set_states(checkpoint['random'])  # needed again later, but refused now if they are none
    unwrap(engine.model).load_state_dict(checkpoint['state_dict'])
    engine.optimizer.load_state_dict(checkpoint['optimizer'])
    if engine.scheduler is not None:
        engine.scheduler.load_state_dict(checkpoint['scheduler'])
    engine.load_extra_state(checkpoint)
    for observer in engine.observers:
        if observer.key:
            observer.load_state_dict(checkpoint.get(observer.key))
    engine.seed = checkpoint['seed']
    engine.history = checkpoint['history']
    engine.best = checkpoint['best']
    engine.summaries = checkpoint['summaries']
    engine.states = checkpoint['random']
    engine.done = (checkpoint['epoch'], len(engine.summaries))
    if processes.is_first() and checkpoint.get('files', engine.files_digest) != engine.files_digest:
        print(
            f'warning: the training images have changed since epoch {engine.done[0]}, step {engine.done[1]} was saved, '
            'by their sizes or times: a copy may have other times; were they replaced, start anew'
        )
    if checkpoint.get('software') != software():
        print(f'* saved by {checkpoint.get("software")}, goes on with {software()}: the last bits may differ')


def check_state(checkpoint: Mapping[str, object], steps: int) -> None:
    """Refuses a checkpoint whose numbers are none of a run's.

    Args:
        checkpoint: what was read.
        steps: of an epoch.

    Raises:
        KeyError: for what it lacks.
        ValueError: naming what is wrong.
    """
    if checkpoint.get('version') != VERSION:
        raise ValueError('it holds weights but not the state of a run; model.load_weights takes the weights')
    for name, kind in _TYPES.items():
        if type(checkpoint[name]) is not kind:
            raise ValueError(f'its {name} is of type {type(checkpoint[name]).__name__}, not {kind.__name__}')
    epoch, seed = checkpoint['epoch'], checkpoint['seed']
    if not 0 <= epoch <= _MOST_EPOCHS:
        raise ValueError(f'its epoch is not from 0 to {_MOST_EPOCHS}')
    if not 0 <= seed < 2**63:
        raise ValueError('its seed is not from 0 to 2^63 - 1')
    for name in ('history', 'summaries'):
        if not all(isinstance(entry, dict) and all(map(_is_number, entry.values())) for entry in checkpoint[name]):
            raise ValueError(f'its {name} holds something else than numbers by name')
    summaries = checkpoint['summaries']
    if len(summaries) > steps:
        raise ValueError(f'it tells of {len(summaries)} steps of an epoch of {steps}')
    if len({tuple(entry) for entry in summaries}) > 1:
        raise ValueError('its summaries are not all of the same losses')


def check_alike(own: Mapping[str, object], other: Mapping[str, object], where: str) -> None:
    """Refuses settings of an optimizer or a scheduler that are of other types than this one's.

    Args:
        own: what this one has.
        other: what was read.
        where: for the message.

    Raises:
        ValueError: naming the first.
    """
    for name, value in own.items():
        if _is_number(value) and not _is_number(other.get(name, value)):
            raise ValueError(f'{name} of its {where} is of type {type(other[name]).__name__}, not a number')


def check_finite(state: Mapping[str, Tensor]) -> None:
    """Refuses weights that are not finite.

    Raises:
        ValueError: naming the first tensor.
    """
    for name, value in state.items():
        if isinstance(value, Tensor) and value.is_floating_point() and not value.isfinite().all():
            raise ValueError(f'its weights are not finite, {name} is the first: take an earlier checkpoint')


def _is_number(value: object) -> bool:
    return type(value) in (int, float, bool) and (not isinstance(value, int) or abs(value) < 2**63)
