"""What a run starts with, and the stages that follow from it: decided before the first of them begins."""

import os
from collections.abc import Container
from enum import Enum
from pathlib import Path
from typing import NamedTuple, NoReturn, Optional

import yaml
from yacs.config import CfgNode

from ..checkpoints import published, resume
from ..checkpoints.folder import CheckpointFolder
from ..checkpoints.reading import read_checkpoint
from ..checkpoints.weights_file import WeightsFile
from ..config import checks, keys, settings
from ..config.changes import FREE, changed_keys, refuse_changes
from ..config.settings import with_keys
from ..data.synthetic.datasets import SYNTHETIC
from ..host.models import available_models
from ..registry import BACKBONES, SUCH_AS
from ..runtime import launch, processes
from ..runtime.errors import UserError, nearest, printable
from .data import check_datasets

PRETRAINED = 'pretrained.pth.tar'  # in data.save_dir: what the pre-training stage leaves for the next one


class Start(NamedTuple):
    """What a run, or the pre-training stage of one, starts with.

    Attributes:
        cfg: its config, as it is printed and as checkpoints hold it: `model.resume` and `model.load_weights` are what
            the run takes, not what the user wrote.
        point: the checkpoint that it goes on from; None at the beginning.
        epochs: how many are done.
        pretraining: the start of the stage that makes the file `cfg.model.load_weights`; None where nothing makes it.
        file: the weights that the model starts from, made by the pre-training stage or there; None for none.
    """

    cfg: CfgNode
    point: WeightsFile | None = None
    epochs: int = 0
    pretraining: Optional['Start'] = None
    file: WeightsFile | None = None

    @property
    def weights(self) -> str:
        """The path of `file`, or ''."""
        return self.cfg.model.load_weights


def start_at(
    cfg: CfgNode, point: WeightsFile | None, pretraining: Start | None = None, file: WeightsFile | None = None
) -> Start:
    """The start of a config at a checkpoint, or at the beginning; it knows how many epochs are done.

    Args:
        cfg, point, pretraining: of the start.
        file: the weights, where some of it may have been read already.
    """
    epochs = cfg.train.start_epoch
    if point is not None:  # a checkpoint that tells no number is refused when the engine takes it
        epochs = point.checkpoint.get('epoch')
        epochs = epochs if isinstance(epochs, int) else 0
    weights = cfg.model.load_weights
    if not weights:
        file = None
    elif file is None or file.path != Path(weights):
        file = WeightsFile(weights)
    return Start(cfg, point, epochs, pretraining, file)


# What the figures of the model before it is adapted are called: `start` where it has been adapted before.
STARTS = ('direct_transfer', 'start')


class Stage(Enum):
    """What the unsupervised run does, one after the other; each value says it in words."""

    PRETRAIN = 'pre-train with labels'
    FORGET = 'remove the results of an earlier run'
    LOAD = 'load the weights'
    MEASURE_START = 'measure the weights that it starts from'
    GO_ON = 'go on from the checkpoint'
    ADAPT = 'adapt without labels'
    TEST = 'measure the checkpoint'
    KEEP = 'take the model that is kept'


def stages_of(start: Start, has_labels: bool, measured: Container[str]) -> list[Stage]:
    """The stages of the unsupervised run.

    Args:
        start: what it starts with.
        has_labels: whether there is a target to test on.
        measured: of `STARTS`, `adapted` and `kept`, what an interrupted run has measured already.

    Raises:
        UserError: if the user named a checkpoint that leaves nothing to do; a run that is found finished does nothing.

    Example:
        >>> [stage.value for stage in stages_of(Start(cfg), has_labels=True, measured=())]
        ['load the weights', 'measure the weights that it starts from', 'adapt without labels']
    """
    cfg, anew = start.cfg, start.point is None
    stages = []
    if start.pretraining is not None:
        stages.append(Stage.PRETRAIN)
    if anew and not has_labels:
        stages.append(Stage.FORGET)
    # A test of a checkpoint measures that one file.
    if not any(name in measured for name in STARTS) and (anew or (start.weights and not cfg.test.evaluate)):
        if start.weights:
            stages.append(Stage.LOAD)
        if has_labels:
            stages.append(Stage.MEASURE_START)
    if not anew and not cfg.test.evaluate:
        stages.append(Stage.GO_ON)
    finished = start.epochs >= cfg.train.max_epoch and ('adapted' in measured or not has_labels)
    if not cfg.test.evaluate and not finished:
        stages.append(Stage.ADAPT)
    elif not anew and not cfg.test.evaluate and cfg.model.resume != resume.AUTO:
        raise UserError(
            f'nothing to do: {printable(start.point.path)} (model.resume) has {start.epochs} epochs, train.max_epoch '
            f'is {cfg.train.max_epoch}, and there is nothing to test on: raise train.max_epoch, or use the file'
        )
    elif cfg.test.evaluate and not anew:
        stages.append(Stage.TEST)
    keeps = cfg.paul.keep == 'best' and cfg.train.max_epoch > 0 and not cfg.test.evaluate
    if keeps and (Stage.ADAPT in stages or 'kept' not in measured):
        stages.append(Stage.KEEP)
    return stages


# ---- how the start is found


def check_names(cfg: CfgNode) -> None:
    """Refuses a model or data set that torchreid does not have, or a data set that is not there.

    Raises:
        UserError: naming it, with the nearest name or the folder that is expected.
    """
    if cfg.loss.name == 'paul' and cfg.model.name not in BACKBONES:
        raise UserError(
            f'model.name {cfg.model.name!r} is no PatchNet, which loss.name paul needs'
            f'{nearest(cfg.model.name, BACKBONES)}: set it to {SUCH_AS}'
        )
    models = available_models()
    if cfg.model.name not in models:
        raise UserError(f'unknown model.name {cfg.model.name!r}{nearest(cfg.model.name, models)}')
    check_datasets(cfg, made=SYNTHETIC)


def stage_config(cfg: CfgNode) -> CfgNode:
    """The config of the pre-training stage, the file `paul.pretrain.config`.

    It takes over the keys that the table of keys marks so, such as the data's root, the image size, the model, the
    seed and the machine's settings, and after them `paul.pretrain.opts`.

    Raises:
        UserError: for what is wrong with it.
    """
    stage = _stage_values(cfg)
    try:
        checks.check_config(stage)
        check_names(stage)
    except UserError as error:
        where = f'pre-training stage {printable(cfg.paul.pretrain.config)}'
        way_out = 'or name its weights by model.load_weights'
        raise UserError('\n'.join(f'{where}: {line}, {way_out}' for line in str(error).splitlines())) from None
    return stage


def _stage_values(cfg: CfgNode) -> CfgNode:
    """The same, with values that may be wrong and names of what may not be there."""
    stage = keys.get_default_config()
    settings.merge_file(stage, cfg.paul.pretrain.config)
    taken = {key: keys.value_of(cfg, key) for key in keys.marked(keys.Mark.STAGE)}
    taken['data.save_dir'] = str(Path(cfg.data.save_dir, 'pretrain'))
    if cfg.model.resume == resume.AUTO:
        taken['model.resume'] = resume.AUTO
    return with_keys(with_keys(stage, taken), cfg.paul.pretrain.opts)


def find_start(cfg: CfgNode, file: WeightsFile | None = None) -> Start:
    """What the run of a config starts with; the config itself stays as the user gave it.

    Args:
        cfg: the config.
        file: what `model.load_weights` names, where it was read already.

    Raises:
        UserError: if a checkpoint cannot be read or is of a run with other settings, or if weights are named that are
            not there or cannot be fetched.
    """
    asked = asked_for(cfg)
    point = find_point(cfg, asked)
    weights = weights_to_start_from(cfg) if point is None else weights_it_started_from(cfg)
    named = cfg.model.load_weights  # by the user, who may take whatever is there
    cfg = with_keys(cfg, {'model.resume': asked, 'model.load_weights': weights})
    pretraining = None
    if point is None and weights and not os.path.isfile(weights):
        if named:
            refuse_missing(weights)
        stage = stage_config(cfg)
        pretraining = start_at(stage, find_point(stage, stage.model.resume))
    elif point is None and weights and not named:
        file = WeightsFile(weights)
        refuse_stale(cfg, file)
    return start_at(cfg, point, pretraining, file)


def asked_for(cfg: CfgNode) -> str:
    """What to go on from: as torchrun starts the processes again, the run's own checkpoints, if it has come so far."""
    if launch.attempt() > 0 and (not cfg.model.resume or checkpoints_of(cfg).newest()):
        return resume.AUTO
    return cfg.model.resume


def weights_to_start_from(cfg: CfgNode) -> str:
    """The file of `model.load_weights`, fetched if it is published, or the one that the pre-training stage makes."""
    with processes.first_alone() as first:  # it downloads, the others find it in the cache
        weights = published.resolve(cfg.model.load_weights) if first else cfg.model.load_weights
    weights = weights if first else published.resolve(weights)
    makes = cfg.loss.name == 'paul' and cfg.paul.pretrain.config
    return weights or (pretrained_path(cfg) if makes else '')


def pretrained_path(cfg: CfgNode) -> str:
    """Where the pre-training stage of a run leaves its weights."""
    return str(Path(cfg.data.save_dir, PRETRAINED))


def refuse_missing(path: str) -> NoReturn:
    """Refuses a file of weights that is not there: a slip, which a pre-training of hours would not mend.

    Raises:
        UserError: naming a file beside it whose name is like it, if there is one.
    """
    if os.path.exists(path):  # a folder, or a pipe
        read_checkpoint(path)
    folder, name = os.path.split(path)
    try:
        names = [entry.name for entry in os.scandir(folder or '.') if entry.is_file()]
    except OSError:
        names = []
    raise UserError(
        f'no weight file at {printable(path)} (model.load_weights){nearest(name, names)}: correct the name, or leave '
        'it out for what the config starts from'
    )


def refuse_stale(cfg: CfgNode, file: WeightsFile) -> None:
    """Refuses weights that an earlier run left there after a pre-training with other settings.

    Raises:
        UserError: naming the settings that differ.
    """
    try:
        changes = changed_keys(_stage_values(cfg), file.config, free=FREE - {'train.max_epoch'})
    except (UserError, yaml.YAMLError, ValueError, RecursionError):
        return  # there is nothing to compare; what is wrong with the weights themselves is said when they are loaded
    if changes:
        raise UserError(
            f'{printable(file.path)} is of a pre-training with other settings: {"; ".join(changes)}: set them back, '
            'delete it or choose another data.save_dir to pre-train anew, or name it by model.load_weights to take it '
            'as it is'
        )


def weights_it_started_from(cfg: CfgNode) -> str:
    """The file that a run which goes on has once started from, if it is still there; '' if not."""
    return next(filter(os.path.isfile, (cfg.model.load_weights, pretrained_path(cfg))), '')


def find_point(cfg: CfgNode, asked: str) -> WeightsFile | None:
    """The checkpoint that is asked for, as `model.resume` does; None where the run starts from the beginning.

    Raises:
        UserError: if it cannot be read, or the configuration is not that of the run that saved it.
    """
    point = resume.find(asked, checkpoints_of(cfg))
    if point is not None:
        refuse_changes(cfg, point.checkpoint.get('config'), point.path)
    return point


def checkpoints_of(cfg: CfgNode) -> CheckpointFolder:
    return CheckpointFolder(Path(cfg.data.save_dir, 'model'))
