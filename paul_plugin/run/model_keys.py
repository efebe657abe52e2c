"""The config's keys that a file of weights tells: the model's name, its patches, the image size; tools and runs ask."""

import os
from collections.abc import Container
from pathlib import Path
from typing import NoReturn

import yaml
from yacs.config import CfgNode

from ..checkpoints.weights_file import WeightsFile
from ..config.keys import all_keys, get_default_config, value_of
from ..config.settings import parse, with_keys
from ..host.models import backbone_of, layers_of
from ..registry import BACKBONES, SUCH_AS
from ..runtime import launch
from ..runtime.errors import UserError, printable

_SIZE = ('data.height', 'data.width')
OF_THE_MODEL = ('model.name', 'paul.num_patches', 'paul.feature_dim', 'paul.patch_source')  # as the weights tell them
_KEY_OF = {'dist_metric': 'test.dist_metric'}  # of what a file tells; the other names are of the group data


def config_of(file: WeightsFile) -> CfgNode:
    """The configuration that a file holds; of a bare one, the defaults and its size, or that of its kind.

    What a file tells beside its configuration, `WeightsFile.told`, counts where the configuration says nothing.

    Raises:
        UserError: if the configuration cannot be read, or is none.
    """
    size = {} if file.config or file.kind == 'torchreid' else dict(zip(_SIZE, (384, 128)))  # the default is torchreid's
    told = {_KEY_OF.get(name, f'data.{name}'): value for name, value in file.told.items()}
    cfg = with_keys(get_default_config(), size | told)
    return _read_config(cfg, file) if file.config else cfg


def _read_config(cfg: CfgNode, file: WeightsFile) -> CfgNode:
    """The configuration that a checkpoint holds, over what is known else; keys of another version are passed over."""
    try:
        tree = parse(file.config)
        if not isinstance(tree, dict):
            raise ValueError
        known = {key for key in all_keys(cfg) if _value(tree, key) is not None}
        cfg = with_keys(cfg, [part for key in sorted(known) for part in (key, _value(tree, key))])
        if 'folder.near_copies' not in known:  # versions without the key trained on them
            cfg = with_keys(cfg, {'folder.near_copies': 'keep'})
    except (yaml.YAMLError, ValueError, RecursionError, AttributeError, TypeError):
        raise UserError(f'{printable(file.path)} is damaged: its configuration cannot be read') from None
    return cfg


def _value(tree: object, key: str) -> object:
    for part in key.split('.'):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def patchnet_options(cfg: CfgNode) -> dict[str, object]:
    """What a PatchNet is built with, beside its name, as `build_model` takes it."""
    paul = cfg.paul
    return {'num_patches': paul.num_patches, 'dim': paul.feature_dim, 'patch_source': paul.patch_source}


def model_keys(cfg: CfgNode, file: WeightsFile) -> dict[str, object]:
    """The model's keys as the weights tell them.

    Args:
        cfg: the file's config; its `model.name` is tried first.
        file: of a model of torchreid's the number of patches and their length stay.

    Raises:
        UserError: if they are of no model of ours, nor of a backbone of one.
    """
    parts = _parts(cfg, file)
    if not parts:
        raise UserError(f'{printable(file.path)} holds no PatchNet: name a checkpoint of {SUCH_AS}')
    name = _name_of(file, cfg.model.name)
    if name is None:
        is_ours = file.kind != 'torchreid'
        what = 'a PatchNet on another backbone than those' if is_ours else 'no PatchNet, nor one of the backbones'
        raise UserError(f'{printable(file.path)} holds {what} of {SUCH_AS}')
    return {'model.name': name, **parts}


def _parts(cfg: CfgNode, file: WeightsFile) -> dict[str, object]:
    """The keys of what a PatchNet has beside its backbone; none where the weights are of none, nor of torchreid's.

    To a model of torchreid's PatchNet adds bands, since no PGN was trained, and the D that keeps its head's distances.
    """
    if file.branches:
        # Fixed patches are in the weights, whichever of the fixed sources it was.
        fixed = 'stripe' if cfg.paul.patch_source == 'pgn' else cfg.paul.patch_source
        return dict(zip(OF_THE_MODEL[1:], (*file.branches, fixed if file.has_fixed_patches else 'pgn')))
    if file.kind != 'torchreid':
        return {}
    dim = file.length_of_head
    return {'paul.patch_source': 'band'} | ({} if dim is None else {'paul.feature_dim': dim})


def _name_of(file: WeightsFile, likely: str) -> str | None:
    """Which of our models has this backbone; None if none has. `likely`, ours or torchreid's, is tried first."""
    found = backbone_of(file.backbone, BACKBONES.get(likely, likely))
    names = [name for name, backbone in BACKBONES.items() if backbone == found]
    return likely if likely in names else next(iter(names), None)


def keys_of(file: WeightsFile, cfg: CfgNode, named: Container[str]) -> dict[str, object]:
    """The keys of the model and the image size that the file `model.load_weights` tells otherwise; they are printed.

    A file that cannot be read, or that is not there yet, is left to who loads it.

    Args:
        file: what `model.load_weights` names.
        cfg: the config of a run.
        named: keys that stay as they are, as the user has named them for this file.

    Raises:
        UserError: if the file holds the weights of another model than the named one, or, of a model of torchreid's
            that tells no image size, than that of the config.
    """
    if cfg.loss.name != 'paul' or cfg.model.name not in BACKBONES or not os.path.isfile(file.path):
        return {}
    try:
        kind, its = file.kind, config_of(file) if file.tells_size else None
    except UserError:
        return {}
    name = _name_of(file, cfg.model.name)
    if name is None:
        return {}
    size = {} if its is None else {key: value_of(its, key) for key in _SIZE}
    if name != cfg.model.name and ('model.name' in named or (kind == 'torchreid' and not size)):
        if not ('model.name' in named and _fits(file, cfg.model.name)):
            _refuse(file.path, name, size)
        name = cfg.model.name  # a relative of the file's model, which the user wants
    return _taken(cfg, file.path, {'model.name': name, **_parts(its or cfg, file), **size}, named)


def _taken(cfg: CfgNode, path: Path, tells: dict[str, object], named: Container[str]) -> dict[str, object]:
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


def _refuse(path: Path, name: str, its: dict[str, int]) -> NoReturn:
    """Refuses weights of another model than the named one, with the keys to give."""
    if not its:
        size = "it does not tell the size of its images: give data.height and data.width, torchreid's are 256 and 128"
    else:
        size = f'its images have {", ".join(f"{key} {value}" for key, value in its.items())}'
    raise UserError(
        f'{printable(path)} holds the weights of another model, {name}: set model.name {name}, or name another file; '
        f'{size}'
    )


def _fits(file: WeightsFile, name: str) -> bool:
    """Whether most of a model's layers are in the weights, which `load_weights` asks for."""
    own, found = layers_of(BACKBONES[name]), file.backbone
    return sum(found.get(key) == shape for key, shape in own.items()) >= len(own) / 2
