"""What differs between the config of a run and that of the one that it goes on from, and what of it may."""

from collections.abc import Container

import yaml
from yacs.config import CfgNode

from ..runtime.errors import UserError, printable, show
from .keys import Mark, all_keys, get_default_config, marked, value_of
from .settings import parse

FREE = marked(Mark.FREE)


def changed_keys(cfg: CfgNode, config: str, free: Container[str] = FREE) -> list[str]:
    """`KEY from OLD to NEW` for what differs from a checkpoint's configuration and must not.

    Args:
        cfg: the config of now.
        config: the checkpoint's, as text.
        free: keys that may differ.

    Raises:
        yaml.YAMLError, ValueError, RecursionError: for a text that is no configuration.
    """
    old = get_default_config()
    tree = parse(config) or {}
    if not isinstance(tree, dict):
        raise ValueError('a configuration consists of keys and values')
    changes = []
    for key in all_keys(old):
        before, now = tree, value_of(cfg, key)
        for part in key.split('.'):
            before = before.get(part, {}) if isinstance(before, dict) else {}
        if before == {}:  # the checkpoint is of a version without this key
            before = value_of(old, key)
        may = key in free and not (key == 'train.max_epoch' and cfg.train.lr_scheduler == 'cosine')
        if not may and before != list_of(now):
            changes.append(f'{key} from {show(before)} to {show(now)}')
    return changes


def list_of(value: object) -> object:
    """A value with its tuples, which YAML does not know, as lists."""
    return [list_of(item) for item in value] if isinstance(value, (list, tuple)) else value


def refuse_changes(cfg: CfgNode, config: object, path: object) -> None:
    """Refuses to go on with other settings than those of the run that saved a checkpoint.

    Args:
        cfg: the config of the run that goes on.
        config: the checkpoint's, as text; anything else, such as None, tells nothing.
        path: the checkpoint's file, for the message.

    Raises:
        UserError: naming each key that differs and must not, or if the text is no configuration.
    """
    try:
        changes = changed_keys(cfg, config) if config and isinstance(config, str) else []
    except (yaml.YAMLError, ValueError, RecursionError):
        raise UserError(f'{printable(path)} is damaged: its configuration cannot be read (model.resume)') from None
    if changes:
        raise UserError(
            f'{printable(path)} is of a run with other settings (model.resume): {"; ".join(changes)}: set them back, '
            'or start anew from its weights with model.load_weights and another data.save_dir'
        )
