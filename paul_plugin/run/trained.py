"""A trained PatchNet as the tools take it: from a run's folder, one of its checkpoints, or a bare file of weights."""

import contextlib
import io
import os
from pathlib import Path
from typing import NamedTuple

import torch
import yaml
from torch import Tensor, nn
from yacs.config import CfgNode

from ..checkpoints.folder import CheckpointFolder
from ..checkpoints.weights import load_weights, read_checkpoint, state_of
from ..config import checks, settings
from ..config.keys import all_keys, get_default_config
from ..host.data import DataManager, images_digest, sort_training_images, test_transform
from ..host.models import build_backbone
from ..registry import BACKBONES, build_model
from ..runtime.errors import UserError, printable
from .data import build_datamanager, check_data, check_datasets, root_of

_MOST_IMAGES = {'train': 1024, 'test': 512}  # of a batch in a tool, unless its user asks for more
_MOST_PIXELS = 4_000_000  # of an image as the network takes it; 384 x 128 are 49 thousand


class Trained(NamedTuple):
    """A PatchNet in eval mode, and what its file tells about it.

    Attributes:
        model: the model, on the GPU if `cfg.use_gpu`; it returns descriptors.
        cfg: the configuration of its run, or the defaults with what is known of a bare file of weights.
        path: the file that the weights come from.
        checkpoint: all that the file holds.
        run: the folder of its run; None for a bare file of weights.
    """

    model: nn.Module
    cfg: CfgNode
    path: Path
    checkpoint: dict
    run: Path | None

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def transform(self):
        """PIL image -> (3, H, W): torchreid's transform of test images."""
        data = self.cfg.data
        return test_transform(data.height, data.width, data.norm_mean, data.norm_std)

    def datamanager(self) -> DataManager:
        """torchreid's data manager of the run's data, the training images in the memory bank's order.

        Raises:
            UserError: if the data are not there, or cannot be read.
        """
        check_datasets(self.cfg)
        with contextlib.redirect_stdout(io.StringIO()):  # torchreid's tables and lists of transforms
            datamanager = build_datamanager(self.cfg)
        check_data(self.cfg, datamanager)
        sort_training_images(datamanager, by_camera=self.cfg.paul.neighbours == 'camera')
        return datamanager

    def memory(self) -> tuple[Tensor, Tensor]:
        """The memory bank, (M, N, D), and which rows are filled, (N,) bool.

        Of a run with `paul.similarity image` it has one row of length M * D an image, (1, N, M * D), and no patches.

        Raises:
            UserError: if the file holds none.
        """
        memory = self.checkpoint.get('memory')
        if not isinstance(memory, dict) or 'bank' not in memory:
            raise UserError(
                f'{printable(self.path)} holds no memory bank: name the folder of a run of the unsupervised stage, or '
                'a checkpoint in its folder model'
            )
        return memory['bank'].float(), memory['filled']

    def check_images(self, datamanager: DataManager) -> None:
        """Refuses training images that are not those of the memory bank.

        Raises:
            UserError: if they differ by their number or their names.
        """
        if self.checkpoint.get('images') != images_digest(datamanager):
            raise UserError(
                f'the training images in {printable(root_of(self.cfg, self.cfg.data.sources[0]))} are not those that '
                f'{printable(self.path)} was trained on: name their folder by --root, or by --opts folder.path'
            )


def open_trained(path: str | Path, height: int = 0, width: int = 0, opts: tuple[object, ...] = ()) -> Trained:
    """Opens a trained PatchNet.

    Args:
        path: the folder of a run (its newest checkpoint is taken), a checkpoint, or any file that `load_weights` reads.
        height, width: of the images, in pixels; 0 for the run's. A bare file of weights does not tell: 384x128 then.
        opts: `KEY, VALUE, ...` that override the run's configuration, such as `data.root`.

    Raises:
        UserError: if there is no such file, or it holds no PatchNet.

    Example:
        >>> trained = open_trained('log/paul_synthetic')
        >>> trained.model(trained.transform()(read_image('me.jpg'))[None]).shape
        torch.Size([1, 1536])
    """
    path, checkpoint = _read(Path(path))
    cfg = _config_of(checkpoint, path)
    cfg.use_gpu = settings.has_gpu()
    _limit(cfg)
    cfg.data.update({name: value for name, value in (('height', height), ('width', width)) if value})
    settings.merge_opts(cfg, opts)
    checks.check_config(cfg)
    if cfg.data.height * cfg.data.width > _MOST_PIXELS:
        raise UserError(
            f'{printable(path)} tells of images of {cfg.data.height} x {cfg.data.width} pixels, more than '
            f'{_MOST_PIXELS}: give --height and --width'
        )
    _describe_model(cfg, state_of(checkpoint, path)[1], path)
    options = {'num_patches': cfg.paul.num_patches, 'dim': cfg.paul.feature_dim, 'patch_source': cfg.paul.patch_source}
    model = build_model(cfg.model.name, pretrained=False, num_classes=1, loss='paul', **options)
    load_weights(model, path, checkpoint)
    run = path.parent.parent if path.parent.name == 'model' else None
    return Trained((model.cuda() if cfg.use_gpu else model).eval(), cfg, path, checkpoint, run)


def _limit(cfg: CfgNode) -> None:
    """Limits what a run's configuration may cost a tool, which is another machine's, or anybody's file."""
    cfg.data.workers = min(cfg.data.workers, os.cpu_count() or 1)
    for group, most in _MOST_IMAGES.items():
        cfg[group].batch_size = min(cfg[group].batch_size, most)


def _read(path: Path) -> tuple[Path, dict]:
    """The file and what it holds; of a run's folder, the newest checkpoint."""
    if not path.is_dir():
        return path, read_checkpoint(path)
    newest = CheckpointFolder(path / 'model').read_newest()
    if newest is None:
        raise UserError(
            f'no checkpoint in {printable(path / "model")}: name the folder of a run (its data.save_dir) or a file'
        )
    return newest


def _config_of(checkpoint: dict, path: Path) -> CfgNode:
    """The configuration that a checkpoint holds; of a bare file of weights, the defaults and 384x128 pixels."""
    config = checkpoint.get('config')
    if config and isinstance(config, str):
        return _read_config(config, path)
    cfg = get_default_config()
    if not config:
        cfg.data.update({'height': 384, 'width': 128})
    return cfg


def _read_config(text: str, path: Path) -> CfgNode:
    """The configuration that a checkpoint holds; keys of another version are passed over."""
    cfg = get_default_config()
    try:
        tree = settings.parse(text)
        known = {key for key in all_keys(cfg) if _value(tree, key) is not None}
        settings.merge_opts(cfg, [part for key in sorted(known) for part in (key, _value(tree, key))])
    except (yaml.YAMLError, ValueError, RecursionError, AttributeError, TypeError):
        raise UserError(f'{printable(path)} is damaged: its configuration cannot be read') from None
    return cfg


def _value(tree: object, key: str) -> object:
    for part in key.split('.'):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def _describe_model(cfg: CfgNode, state: dict[str, Tensor], path: Path) -> None:
    """Sets the model's keys by the weights: the first of our models whose layers all have these names and shapes.

    Raises:
        UserError: if there is none.
    """
    reductions = [key for key in state if key.startswith('branches.') and key.endswith('.reduction.weight')]
    if not reductions:
        raise UserError(f'{printable(path)} holds no PatchNet: name a checkpoint of one of {", ".join(BACKBONES)}')
    cfg.paul.num_patches = len(reductions)
    cfg.paul.feature_dim = state[reductions[0]].shape[0]
    if 'pgn.theta' not in state:
        cfg.paul.patch_source = 'pgn'
    elif cfg.paul.patch_source == 'pgn':  # the patches are fixed, whichever of the fixed sources it was
        cfg.paul.patch_source = 'stripe'
    cfg.model.name = _model_of(state, cfg.model.name, path)


def _model_of(state: dict[str, Tensor], likely: str, path: Path) -> str:
    """The first of our models, the likely one before the others, whose backbone has its layers in the weights.

    Raises:
        UserError: if there is none.
    """
    found = {key: value.shape for key, value in state.items()}
    for name in sorted(BACKBONES, key=lambda name: name != likely):
        with torch.device('meta'):
            backbone = build_backbone(BACKBONES[name], False)
        if all(found.get(f'backbone.{key}') == value.shape for key, value in backbone.state_dict().items()):
            return name
    raise UserError(f'{printable(path)} holds a PatchNet on another backbone than those of {", ".join(BACKBONES)}')
