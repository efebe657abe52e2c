"""What a file of weights tells about its model: the name, the patches, the image size; a run and the tools take it."""

import json
import os
from collections.abc import Container
from pathlib import Path
from typing import NoReturn

import yaml
from torch import Tensor
from yacs.config import CfgNode

from ..checkpoints.head import enough_numbers, head_of
from ..checkpoints.onnx_weights import SIZE
from ..checkpoints.weights import read_checkpoint, state_of
from ..config.keys import all_keys, get_default_config, value_of
from ..config.settings import parse, with_keys
from ..host.models import backbone_of, layers_of
from ..registry import BACKBONES, SUCH_AS
from ..runtime import launch
from ..runtime.errors import UserError, printable

_SIZE = ('data.height', 'data.width')
OF_THE_MODEL = ('model.name', 'paul.num_patches', 'paul.feature_dim', 'paul.patch_source')  # as the weights tell them
_PREFIX = 'backbone.'
MOST_NUMBERS = 512  # D of a branch that starts as a file's head


def config_of(checkpoint: dict, kind: str, path: str | Path) -> CfgNode:
    """The configuration that a checkpoint holds; of a bare file, the defaults and its size, or that of its kind.

    Of a file of safetensors, its `metadata` tell what its configuration does not, see `metadata_of`.

    Args:
        checkpoint: what the file holds.
        kind: of its weights, as `state_of` tells.
        path: the file.

    Raises:
        UserError: if the configuration cannot be read, or is none.
    """
    config = checkpoint.get('config')
    size = {} if config or kind == 'torchreid' else dict(zip(_SIZE, (384, 128)))  # the default is torchreid's
    cfg = with_keys(get_default_config(), size | _metadata(checkpoint))
    return _read_config(cfg, config, path) if config and isinstance(config, str) else cfg


def told_of_size(checkpoint: dict) -> bool:
    """Whether a file tells the size of its images."""
    config = checkpoint.get('config')
    return bool(config and isinstance(config, str)) or 'data.height' in _metadata(checkpoint)


def _metadata(checkpoint: dict) -> dict[str, object]:
    """Keys and values of what a file tells beside its configuration, as far as these are what they should be."""
    try:
        told = json.loads(checkpoint.get('metadata') or '{}')
    except (ValueError, TypeError, RecursionError):
        return {}
    if not isinstance(told, dict):
        return {}
    found: dict[str, object] = {}
    size = checkpoint.get(SIZE)  # of an ONNX file, which has no metadata of ours
    sides = size if isinstance(size, list) and len(size) == 2 else (told.get('height'), told.get('width'))
    if all(type(side) is int and 0 < side < 1 << 16 for side in sides):
        found |= dict(zip(_SIZE, sides))
    for name in ('mean', 'std'):
        numbers = told.get(name)
        if isinstance(numbers, list) and len(numbers) == 3 and all(type(each) in (int, float) for each in numbers):
            found[f'data.norm_{name}'] = [float(each) for each in numbers]
    if told.get('dist_metric') in ('euclidean', 'cosine'):
        found['test.dist_metric'] = told['dist_metric']
    return found


def _read_config(cfg: CfgNode, text: str, path: str | Path) -> CfgNode:
    """The configuration that a checkpoint holds, over what is known else; keys of another version are passed over."""
    try:
        tree = parse(text)
        if not isinstance(tree, dict):
            raise ValueError
        known = {key for key in all_keys(cfg) if _value(tree, key) is not None}
        cfg = with_keys(cfg, [part for key in sorted(known) for part in (key, _value(tree, key))])
        if 'folder.near_copies' not in known:  # versions without the key trained on them
            cfg = with_keys(cfg, {'folder.near_copies': 'keep'})
    except (yaml.YAMLError, ValueError, RecursionError, AttributeError, TypeError):
        raise UserError(f'{printable(path)} is damaged: its configuration cannot be read') from None
    return cfg


def _value(tree: object, key: str) -> object:
    for part in key.split('.'):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def model_keys(cfg: CfgNode, kind: str, state: dict[str, Tensor], path: str | Path) -> dict[str, object]:
    """The model's keys as the weights tell them.

    Args:
        cfg: the file's config; its `model.name` is tried first.
        kind, state: as `state_of` gives them. Of a model of torchreid's the number of patches and their length stay.
        path: the file.

    Raises:
        UserError: if they are of no model of ours, nor of a backbone of one.
    """
    parts = _parts(cfg, kind, state)
    if not parts:
        raise UserError(f'{printable(path)} holds no PatchNet: name a checkpoint of {SUCH_AS}')
    name = _name_of(state, cfg.model.name)
    if name is None:
        is_ours = kind != 'torchreid'
        what = 'a PatchNet on another backbone than those' if is_ours else 'no PatchNet, nor one of the backbones'
        raise UserError(f'{printable(path)} holds {what} of {SUCH_AS}')
    return {'model.name': name, **parts}


def _parts(cfg: CfgNode, kind: str, state: dict[str, Tensor]) -> dict[str, object]:
    """The keys of what a PatchNet has beside its backbone; none where the weights are of none, nor of torchreid's."""
    reductions = [key for key in state if key.startswith('branches.') and key.endswith('.reduction.weight')]
    if not reductions:
        return new_parts(state) if kind == 'torchreid' else {}
    source = _source_of(state, cfg.paul.patch_source)
    return dict(zip(OF_THE_MODEL[1:], (len(reductions), state[reductions[0]].shape[0], source)))


def _source_of(state: dict[str, Tensor], likely: str) -> str:
    """Where a PatchNet's patches come from. Fixed ones are in its weights, whichever of the fixed sources it was."""
    if 'pgn.theta' not in state:
        return 'pgn'
    return 'stripe' if likely == 'pgn' else likely


def new_parts(state: dict[str, Tensor]) -> dict[str, object]:
    """The keys of what PatchNet adds to a model of torchreid's: bands, since no PGN was trained, and D.

    Args:
        state: as `state_of` gives it.
    """
    head = head_of(state)
    if head is None:
        return {'paul.patch_source': 'band'}
    return {'paul.patch_source': 'band', 'paul.feature_dim': enough_numbers(head, MOST_NUMBERS)}


def _layers(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key.removeprefix(_PREFIX): tuple(value.shape) for key, value in state.items() if key.startswith(_PREFIX)}


def _name_of(state: dict[str, Tensor], likely: str) -> str | None:
    """Which of our models has this backbone; None if none has. `likely`, ours or torchreid's, is tried first."""
    found = backbone_of(_layers(state), BACKBONES.get(likely, likely))
    names = [name for name, backbone in BACKBONES.items() if backbone == found]
    return likely if likely in names else next(iter(names), None)


def take_from_file(cfg: CfgNode, named: Container[str]) -> dict[str, object]:
    """The keys of the model and the image size that the file `model.load_weights` tells otherwise; they are printed.

    A file that cannot be read, or that is not there yet, is left to who loads it.

    Args:
        cfg: the config of a run.
        named: keys that stay as they are, as the user has named them for this file.

    Raises:
        UserError: if the file holds the weights of another model than the named one, or, of a model of torchreid's
            that tells no image size, than that of the config.
    """
    path = cfg.model.load_weights
    if cfg.loss.name != 'paul' or cfg.model.name not in BACKBONES or not os.path.isfile(path):
        return {}
    try:
        checkpoint = read_checkpoint(path)
        kind, state = state_of(checkpoint, path)
        its = config_of(checkpoint, kind, path) if told_of_size(checkpoint) else None
    except UserError:
        return {}
    name = _name_of(state, cfg.model.name)
    if name is None:
        return {}
    size = {} if its is None else {key: value_of(its, key) for key in _SIZE}
    if name != cfg.model.name and ('model.name' in named or (kind == 'torchreid' and not size)):
        if not ('model.name' in named and _fits(state, cfg.model.name)):
            _refuse(path, name, size)
        name = cfg.model.name  # a relative of the file's model, which the user wants
    return _taken(cfg, path, {'model.name': name, **_parts(its or cfg, kind, state), **size}, named)


def _taken(cfg: CfgNode, path: str, tells: dict[str, object], named: Container[str]) -> dict[str, object]:
    """What the file tells and the user has not named; prints that, and a named size that is another."""
    taken = {key: value for key, value in tells.items() if key not in named and value != value_of(cfg, key)}
    after = {key: taken.get(key, value_of(cfg, key)) for key in _SIZE}
    other = [key for key in _SIZE if key in tells and tells[key] != after[key]]
    if launch.first_of_machine():
        if taken:
            words = ', '.join(f'{key} {value}' for key, value in taken.items())
            print(f'taken from {printable(path)}, as the command line does not name them: {words}')
        if other:
            words = ', '.join(f'{key} {tells[key]}' for key in other)
            print(f'warning: {printable(path)} was trained on images of another size: {words}')
    return taken


def _refuse(path: str, name: str, its: dict[str, int]) -> NoReturn:
    """Refuses weights of another model than the named one, with the keys to give."""
    if not its:
        size = "it does not tell the size of its images: give data.height and data.width, torchreid's are 256 and 128"
    else:
        size = f'its images have {", ".join(f"{key} {value}" for key, value in its.items())}'
    raise UserError(
        f'{printable(path)} holds the weights of another model, {name}: set model.name {name}, or name another file; '
        f'{size}'
    )


def _fits(state: dict[str, Tensor], name: str) -> bool:
    """Whether most of a model's layers are in the weights, which `load_weights` asks for."""
    own, found = layers_of(BACKBONES[name]), _layers(state)
    return sum(found.get(key) == shape for key, shape in own.items()) >= len(own) / 2
