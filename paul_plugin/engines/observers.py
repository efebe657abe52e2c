"""What looks on while an engine trains: it is called at the start, after steps and epochs, and in each test."""

import numpy as np

from ..method.memory import mean_cosine
from ..method.mutual_neighbours import numbers_of_positives


class Observer:
    """Looks on, and changes nothing of the training. Each engine has a list of them, `observers`.

    What has some of these methods, and is no Observer, will do as well.

    Example:
        >>> class Beep(Observer):
        ...     def after_epoch(self, engine):
        ...         print('\a', end='')
        >>> engine.observers.append(Beep())
    """

    def at_start(self, engine) -> None:
        """Called by all processes before anything is trained, by a run that starts anew; nothing is measured yet."""

    def at_resume(self, engine) -> None:
        """Called by all processes in its place by a run that goes on from a checkpoint, before its first step."""

    def after_filling(self, engine) -> None:
        """Called by all processes once the memory bank is filled, before the first step of a run that starts anew."""

    def after_step(self, engine, summary: dict[str, float]) -> None:
        """Called by all processes after a step; not again for steps that a resumed run passes over.

        Args:
            engine: the engine; `engine.done` counts this step.
            summary: what the step gave, the same on all processes: name -> mean over them.
        """

    def after_epoch(self, engine) -> None:
        """Called by all processes after an epoch's last step; `engine.history[-1]` is the epoch's entry."""

    def after_ranking(self, engine, target: int, distances: np.ndarray) -> None:
        """Called in a test, on the first process, before a target is evaluated.

        Args:
            engine: the engine.
            target: the number of the target.
            distances: (Q, G).
        """


class CollapseAlarm(Observer):
    """Records the mean cosine between the descriptors in the memory bank, and warns of a collapse.

    Args:
        most: the mean cosine over which a warning is printed, 1 for none.
    """

    def __init__(self, most: float = 0.5) -> None:
        self.most = most

    def after_epoch(self, engine) -> None:
        memory = engine.memory
        cosine = mean_cosine(memory.bank, memory.filled, memory.shard is not None)
        engine.history[-1]['cosine'] = cosine
        if cosine > self.most:
            print(
                f'warning: collapse: the descriptors in the memory bank have a mean cosine of {cosine:.3f}, more than '
                f'{self.most} (paul.collapse_cosine): lower train.lr or paul.weight_ipfl, raise paul.scale, '
                'check that the pre-trained weights are those of this model, or go back to an earlier checkpoint'
            )


class SkippedSteps(Observer):
    """Says how many steps float16 has skipped so far."""

    def after_epoch(self, engine) -> None:
        if engine.precision.skipped:
            print(f'{engine.precision.skipped} steps so far were skipped because float16 overflowed (train.amp fp16)')


class PositivesRecord(Observer):
    """Records how many positives the images had in an epoch, where they are chosen by whole images."""

    def after_epoch(self, engine) -> None:
        objective = engine.objective
        if objective.positives is not None:
            engine.history[-1] |= numbers_of_positives(objective.positives, objective.choose.spans)
