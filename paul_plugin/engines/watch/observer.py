"""What an observer is: called at the start, after the filling, after steps and epochs, and in each test."""

from collections.abc import Mapping

import numpy as np


class Observer:
    """Looks on, and changes nothing of the training. Each engine has a list of them, `observers`, in any order.

    Attributes:
        key: under which a checkpoint holds what `state_dict` gives; '' for an observer without a state.

    Example:
        >>> class Beep(Observer):
        ...     def after_epoch(self, engine):
        ...         print('\a', end='')
        >>> engine.observers.append(Beep())
    """

    key = ''

    def state_dict(self) -> object:
        """What it needs to go on, as tensors, numbers, strings, lists and dicts; asked only where it has a `key`."""

    def load_state_dict(self, state: Mapping | None) -> None:
        """Restores what `state_dict` returned.

        Args:
            state: of a checkpoint; None where it holds none.

        Raises:
            ValueError: for what is no such state.
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

    def after_recording(self, engine) -> None:
        """Called by all processes once all observers know of the start, the filling or an epoch: time to save."""

    def after_ranking(self, engine, target: int, distances: np.ndarray) -> None:
        """Called in a test, on the first process, before a target is evaluated.

        Args:
            engine: the engine.
            target: the number of the target.
            distances: (Q, G).
        """
