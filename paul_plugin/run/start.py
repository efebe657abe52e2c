"""What a run starts with, and the stages that follow from it: decided before the first of them begins."""

from collections.abc import Container
from enum import Enum
from typing import NamedTuple, Optional

from yacs.config import CfgNode

from ..checkpoints.resume import ResumePoint


class Start(NamedTuple):
    """What a run, or the pre-training stage of one, starts with.

    Attributes:
        cfg: its config, as it is printed and as checkpoints hold it: `model.resume` and `model.load_weights` are what
            the run takes, not what the user wrote.
        point: the checkpoint that it goes on from; None at the beginning.
        epochs: how many are done.
        pretraining: the start of the stage that makes the file `cfg.model.load_weights`; None where nothing makes it.
    """

    cfg: CfgNode
    point: ResumePoint | None = None
    epochs: int = 0
    pretraining: Optional['Start'] = None

    @property
    def weights(self) -> str:
        """The file of weights that the model starts from, made by the pre-training stage or there; '' for none."""
        return self.cfg.model.load_weights


def start_at(cfg: CfgNode, point: ResumePoint | None, pretraining: Start | None = None) -> Start:
    """The start of a config at a checkpoint, or at the beginning; it knows how many epochs are done."""
    epochs = cfg.train.start_epoch
    if point is not None:  # a checkpoint that tells no number is refused when the engine takes it
        epochs = point.checkpoint.get('epoch')
        epochs = epochs if isinstance(epochs, int) else 0
    return Start(cfg, point, epochs, pretraining)


class Stage(Enum):
    """What the unsupervised run does, one after the other; each value says it in words."""

    PRETRAIN = 'pre-train with labels'
    FORGET = 'remove the results of an earlier run'
    LOAD = 'load the weights'
    DIRECT_TRANSFER = 'measure the direct transfer'
    GO_ON = 'go on from the checkpoint'
    ADAPT = 'adapt without labels'
    TEST = 'measure the checkpoint'


def stages_of(start: Start, has_labels: bool, measured: Container[str]) -> list[Stage]:
    """The stages of the unsupervised run.

    Args:
        start: what it starts with.
        has_labels: whether there is a target to test on.
        measured: of `direct_transfer` and `adapted`, what an interrupted run has measured already.

    Example:
        >>> [stage.value for stage in stages_of(Start(cfg), has_labels=True, measured=())]
        ['load the weights', 'measure the direct transfer', 'adapt without labels']
    """
    cfg, anew = start.cfg, start.point is None
    stages = []
    if start.pretraining is not None:
        stages.append(Stage.PRETRAIN)
    if anew and not has_labels:
        stages.append(Stage.FORGET)
    if 'direct_transfer' not in measured and (start.weights or anew):
        if start.weights:
            stages.append(Stage.LOAD)
        if has_labels:
            stages.append(Stage.DIRECT_TRANSFER)
    if not anew:
        stages.append(Stage.GO_ON)
    finished = start.epochs >= cfg.train.max_epoch and ('adapted' in measured or not has_labels)
    if not cfg.test.evaluate and not finished:
        stages.append(Stage.ADAPT)
    elif cfg.test.evaluate and not anew:
        stages.append(Stage.TEST)
    return stages
