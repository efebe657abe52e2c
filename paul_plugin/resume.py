"""Which checkpoint a run goes on from, and whether its configuration allows that."""

from pathlib import Path
from typing import NamedTuple

import yaml
from yacs.config import CfgNode

from . import launch, processes
from .checkpoints import CheckpointFolder
from .config import all_keys, get_default_config, value_of
from .errors import UserError, show
from .weights import read_checkpoint

AUTO = 'auto'

# Keys that change where a run happens, what it reports or how long it goes on, but not what it computes: another
# value is followed when a run is resumed. Any other changed key is refused.
FREE = {
    'use_gpu',
    'model.resume',
    'model.load_weights',
    'model.pretrained',
    'data.root',
    'data.workers',
    'data.save_dir',
    'train.max_epoch',
    'train.start_epoch',
    'train.print_freq',
    'train.checkpoint_minutes',
    'train.keep_checkpoints',
    'test.batch_size',
    'test.ranks',
    'test.evaluate',
    'test.eval_freq',
    'test.start_eval',
    'test.rerank',
    'test.visrank',
    'test.visrank_topk',
    'test.fast_rank',
    'folder.path',
    'folder.labels',
    'paul.pictures_freq',
    'paul.collapse_cosine',
    'paul.memory.shard',
    'paul.pretrain.config',
    'paul.pretrain.opts',
}


class ResumePoint(NamedTuple):
    """A checkpoint and the file that it was read from."""

    path: Path
    checkpoint: dict


def changed_keys(cfg: CfgNode, config: str) -> list[str]:
    """`KEY from OLD to NEW` for what differs from a checkpoint's configuration and must not.

    Raises:
        yaml.YAMLError, ValueError, RecursionError: for a text that is no configuration.
    """
    old = get_default_config()
    tree = yaml.safe_load(config) or {}
    if not isinstance(tree, dict):
        raise ValueError('a configuration consists of keys and values')
    changes = []
    for key in all_keys(old):
        before, now = tree, value_of(cfg, key)
        for part in key.split('.'):
            before = before.get(part, {}) if isinstance(before, dict) else {}
        if before == {}:  # the checkpoint is of a version without this key
            before = value_of(old, key)
        free = key in FREE and not (key == 'train.max_epoch' and cfg.train.lr_scheduler == 'cosine')
        if not free and before != list_of(now):
            changes.append(f'{key} from {show(before)} to {show(now)}')
    return changes


def list_of(value: object) -> object:
    """A value with its tuples, which YAML does not know, as lists."""
    return [list_of(item) for item in value] if isinstance(value, (list, tuple)) else value


def _folder(cfg: CfgNode) -> CheckpointFolder:
    return CheckpointFolder(Path(cfg.data.save_dir, 'model'))


def after_restart(cfg: CfgNode) -> None:
    """When torchrun starts the processes again, they go on from the run's own checkpoints, if it has come so far."""
    if launch.attempt() > 0 and (not cfg.model.resume or _folder(cfg).newest()):
        cfg.model.resume = AUTO


def set_aside(cfg: CfgNode) -> None:
    """Renames the checkpoints of an earlier run, which a run that starts anew must not be taken for."""
    if not cfg.model.resume and not cfg.test.evaluate and cfg.train.max_epoch > 0:
        _folder(cfg).set_aside()


def find(cfg: CfgNode) -> ResumePoint | None:
    """The checkpoint that `model.resume` asks for; None where the run starts from the beginning.

    Raises:
        UserError: if it cannot be read, or the configuration is not that of the run that saved it.
    """
    if not cfg.model.resume:
        return None
    if cfg.model.resume == AUTO:
        newest = _folder(cfg).read_newest() if processes.is_first() else None
        path = processes.from_first(newest and newest[0])  # all take the same one
        if path is None:
            return None
        point = ResumePoint(path, newest[1] if newest else read_checkpoint(path))
    else:
        try:
            point = ResumePoint(Path(cfg.model.resume), read_checkpoint(cfg.model.resume))
        except UserError as error:
            raise UserError(f'{error} (model.resume)') from None
    config = point.checkpoint.get('config')
    try:
        changes = changed_keys(cfg, config) if config and isinstance(config, str) else []
    except (yaml.YAMLError, ValueError, RecursionError):
        raise UserError(f'{point.path} is damaged: its configuration cannot be read (model.resume)') from None
    if changes:
        raise UserError(
            f'{point.path} is of a run with other settings (model.resume): {"; ".join(changes)}: set them back, or '
            'start anew from its weights with model.load_weights and another data.save_dir'
        )
    return point


def go_on(engine, point: ResumePoint) -> int:
    """Puts an engine into the state of a checkpoint; returns the number of epochs that are done.

    Raises:
        UserError: if it belongs to another model, optimizer or set of images.
    """
    try:
        epochs = engine.resume(point.checkpoint)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = ' '.join(str(error).split())
        if isinstance(error, KeyError):
            reason = f'it lacks {reason}'
        raise UserError(f'{point.path} does not fit this run (model.resume): {reason[:200]}') from None
    point.checkpoint.clear()  # or the second memory bank would stay for the whole run
    print(f'Going on from {point.path}: {epochs} epochs and {engine.done[1]} steps are done')
    return epochs
