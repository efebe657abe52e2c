"""A trained PatchNet as the tools take it: from a run's folder, one of its checkpoints, or a bare file of weights."""

import contextlib
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from yacs.config import CfgNode

from ..checkpoints.folder import CheckpointFolder
from ..checkpoints.places import KEPT
from ..checkpoints.reading import read_checkpoint
from ..checkpoints.weights import load_weights
from ..checkpoints.weights_file import WeightsFile
from ..config import arguments, checks
from ..config.keys import value_of
from ..config.settings import has_gpu, with_keys
from ..data.descriptors import describe_images, eval_mode
from ..data.given import Given, GivenImages
from ..data.images import stretched
from ..engines.watch.verdict import in_words, signs_of
from ..host.data import DataManager, files_digest, images_digest, sort_training_images, test_transform
from ..method.unit import unit_length
from ..registry import build_model
from ..runtime.errors import UserError, printable
from .data import build_datamanager, check_data, check_datasets, root_of
from .model_keys import OF_THE_MODEL, config_of, model_keys, patchnet_options

_MOST_IMAGES = {'train': 1024, 'test': 512}  # of a batch in a tool, unless its user asks for more
_SIZE = 'data.height', 'data.width'
_MOST_PIXELS = 4_000_000  # of an image as the network takes it; 384 x 128 are 49 thousand


class Trained(NamedTuple):
    """A PatchNet in eval mode, and what its file tells about it.

    Attributes:
        model: the model, on the GPU if `cfg.use_gpu`; it returns descriptors.
        cfg: the configuration of its run, or the defaults with what is known of a bare file of weights; frozen.
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

    def transform(self) -> Callable[[Image.Image], Tensor]:
        """PIL image -> (3, H, W): torchreid's transform of test images."""
        data = self.cfg.data
        transform = test_transform(data.height, data.width, data.norm_mean, data.norm_std)
        if data.stretch:
            transform.transforms.insert(0, stretched)
        return transform

    def describe(self, images: Given | Sequence[Given], batch_size: int = 64) -> NDArray[np.float32]:
        """Describes images: the nearer two descriptors, the more alike the people.

        They are what the run's test compares and `extract.py` writes, of length 1: Euclidean and cosine distance and
        the dot product, the cosine, rank alike. `model` itself gives the paper's, of length 1 for each patch. Only
        `test.centre_cameras` is not applied: the cameras of these images are not known.

        Args:
            images: N files, PIL images or uint8 arrays (H, W, 3), red first, of any sizes, mixed as you like; one alone
                stands for a list of one. They are read in this process, batch by batch.
            batch_size: images at a time; with another one the last digits of a descriptor may differ.

        Returns:
            (N, E), float32, in the order of the images, each of length 1.

        Raises:
            UserError: for an image that cannot be read, naming it.

        Example:
            >>> open_trained('log/paul_market').describe(['a.jpg', 'b.jpg']).shape
            (2, 1536)
        """
        with eval_mode(self.model):
            batches = [*describe_images(self.model, GivenImages(images, self.transform()), batch_size)]
        return unit_length(torch.cat([torch.empty(0, self.dim), *batches])).numpy()

    @property
    def dim(self) -> int:
        """E, the numbers of a descriptor."""
        return int(self.model.feature_dim)  # type: ignore[arg-type]

    def normalised(self, descriptors: Tensor) -> Tensor:
        """(N, E) -> the same, L2-normalised if the run's test does so."""
        return F.normalize(descriptors, dim=1) if self.cfg.test.normalize_feature else descriptors

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
        if not _has_bank(self.checkpoint):
            way_out = 'name the folder of a run of the unsupervised stage, or a checkpoint in its folder model'
            raise self.lacks('memory bank', _has_bank, way_out)
        memory = self.checkpoint['memory']
        return memory['bank'].float(), memory['filled']

    def lacks(self, what: str, has: Callable[[dict], bool], way_out: str) -> UserError:
        """The error for a file that lacks what training makes.

        The start that a run keeps has none of it. There the way out is the run's newest checkpoint that has it: who
        named the run has done what `way_out` asks for.

        Args:
            what: in words.
            has: whether a checkpoint has it.
            way_out: for any other file.
        """
        signs = signs_of(self.checkpoint.get('signs'))
        if self.path.name == KEPT and signs and signs[-1]['epoch'] == 0:
            others = CheckpointFolder(self.path.parent).files()
            found = next((path for path in others if _is_such(path, has)), None)
            named = f'name {printable(found)}' if found else 'no other checkpoint of the run has that, name another run'
            kept = in_words(signs[-1]['name'])
            way_out = f'it is what the run keeps (paul.keep best), {kept}, before training: {named}'
        return UserError(f'{printable(self.path)} holds no {what}: {way_out}')

    def check_images(self, datamanager: DataManager) -> None:
        """Refuses training images that are not those of the run, and of its memory bank.

        Files whose sizes or times are others get a warning: a copy may have other times.

        Raises:
            UserError: if they differ by their number or their names.
        """
        if self.checkpoint.get('images') != images_digest(datamanager):
            raise UserError(
                f'the training images in {printable(root_of(self.cfg, self.cfg.data.sources[0]))} are not those that '
                f'{printable(self.path)} was trained on: name their folder by --root, or by --opts folder.path'
            )
        if self.checkpoint.get('files') not in (None, files_digest(datamanager)):
            print(
                f'warning: the training images have changed since {printable(self.path)} was saved, by their sizes or '
                'times: a copy may have other times; were they replaced, take those that it was trained on'
            )


def _has_bank(checkpoint: dict) -> bool:
    memory = checkpoint.get('memory')
    return isinstance(memory, dict) and 'bank' in memory


def _is_such(path: Path, has: Callable[[dict], bool]) -> bool:
    """Whether a checkpoint can be read, and has what is looked for."""
    try:
        return has(read_checkpoint(path))
    except UserError:
        return False


def open_trained(path: str | Path, height: int = 0, width: int = 0, opts: tuple[object, ...] = ()) -> Trained:
    """Opens a trained PatchNet, or makes one of a re-ID model of torchreid's, by its file.

    Args:
        path: the folder of a run (its kept model is taken, or else its newest checkpoint), a checkpoint, or any file
            that `load_weights` reads.
        height, width: of the images, in pixels; 0 for the run's. A bare file of weights does not tell: 384x128 then,
            or torchreid's 256x128 for a model of torchreid's.
        opts: `KEY, VALUE, ...` that override the run's configuration, such as `data.root`.

    Raises:
        UserError: if there is no such file, or it holds neither a PatchNet nor a backbone of one.

    Example:
        >>> open_trained('log/paul_synthetic').describe(['me.jpg']).shape
        (1, 1536)
    """
    file = _file_of(Path(path))
    path, cfg = file.path, config_of(file)
    if not file.tells_size and not (height and width) and not {*_SIZE} <= {*map(str, opts[::2])}:
        print(
            f'{printable(path)} does not tell the size of its images: {cfg.data.height}x{cfg.data.width} is assumed; '
            '--height and --width give another'
        )
    size = {key: value for key, value in zip(_SIZE, (height, width)) if value}
    cfg = with_keys(with_keys(cfg, {'use_gpu': has_gpu(), **_limits(cfg), **size}), opts)
    checks.check_config(cfg)
    if cfg.data.height * cfg.data.width > _MOST_PIXELS:
        raise UserError(
            f'{printable(path)} tells of images of {cfg.data.height} x {cfg.data.width} pixels, more than '
            f'{_MOST_PIXELS}: give --height and --width'
        )
    named = {key: value_of(cfg, key) for key in map(str, opts[::2]) if key in OF_THE_MODEL}
    cfg = with_keys(cfg, model_keys(cfg, file))
    for key, value in named.items():
        if value_of(cfg, key) != value:
            raise UserError(
                f'{key} {value}: the weights in {printable(path)} are of a model with {key} {value_of(cfg, key)}: '
                'leave it out, or name another file'
            )
    model = build_model(cfg.model.name, pretrained=False, num_classes=1, loss='paul', **patchnet_options(cfg))
    load_weights(model, file)
    run = path.parent.parent if path.parent.name == 'model' else None
    return Trained((model.cuda() if cfg.use_gpu else model).eval(), cfg, path, file.checkpoint, run)


def _limits(cfg: CfgNode) -> dict[str, object]:
    """What a run's configuration may cost a tool, which is another machine's, or anybody's file."""
    batches = {f'{group}.batch_size': min(cfg[group].batch_size, most) for group, most in _MOST_IMAGES.items()}
    return {'data.workers': arguments.workers(cfg), **batches}


def _file_of(path: Path) -> WeightsFile:
    """The file; of a run's folder, the kept model if there is one, else the newest checkpoint."""
    if not path.is_dir():
        return WeightsFile(path)
    folder = CheckpointFolder(path / 'model')
    if os.path.lexists(folder.kept):
        kept = WeightsFile(folder.kept)
        signs = signs_of(kept.checkpoint.get('signs'))
        which = in_words(signs[-1]['name']) if signs else 'of an unknown epoch'
        print(f'{printable(folder.kept)}, which the run keeps by the signs of cameras (paul.keep best): {which}')
        return kept
    newest = folder.read_newest()
    if newest is None:
        raise UserError(
            f'no checkpoint in {printable(path / "model")}: name the folder of a run (its data.save_dir) or a file'
        )
    return WeightsFile(*newest)
