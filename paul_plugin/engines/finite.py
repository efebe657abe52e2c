"""Stops a step whose losses or gradients are not finite, before the optimizer changes a weight."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ..runtime.errors import UserError, printable


class NotFinite(Exception):
    """A number is not finite.

    Attributes:
        numbers: name -> value, all that were looked at.
        consequence: what of the step was kept from happening.
    """

    def __init__(self, numbers: Mapping[str, float], consequence: str) -> None:
        super().__init__(', '.join(f'{name} {number:.6g}' for name, number in numbers.items()))
        self.numbers = numbers
        self.consequence = consequence

    def refusal(self, engine, files: list[str]) -> UserError:
        """What the user of an engine is told of it, and of the step's image files."""
        last = engine.folder.newest() if engine.folder is not None else None
        step = f'epoch {engine.epoch + 1}, step {len(engine.summaries) + 1}'
        return UserError(
            f'{step}: not finite: {self}; {self.consequence}, the last checkpoint is {printable(last or "none")}: '
            f'{engine.way_out()}\nimages of {step}: {", ".join(map(printable, files))}'
        )


class FiniteGuard:
    """Looks at the losses of a step and at the gradients when an optimizer is about to step.

    Example:
        >>> guard = FiniteGuard()
        >>> guard.attach(optimizer)
        >>> guard.watch({'loss': loss})
        >>> loss.backward()
        >>> optimizer.step()  # raises NotFinite, and changes nothing, if the loss or a gradient is not finite
    """

    def __init__(self) -> None:
        self._losses: dict[str, Tensor] = {}

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        """Has this optimizer look before each of its steps."""
        optimizer.register_step_pre_hook(self._before_step)

    def start(self) -> None:
        """Forgets the losses of the step before."""
        self._losses = {}

    def watch(self, losses: Mapping[str, Tensor]) -> None:
        """Losses, each of one number, that must be finite when the optimizer steps."""
        self._losses |= losses

    def _before_step(self, optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
        grads = [p.grad for group in optimizer.param_groups for p in group['params'] if p.grad is not None]
        # One number for all: the GPU is asked once a step. The largest absolute value is finite if all are.
        numbers = [loss.detach().reshape(()).float() for loss in self._losses.values()]
        if grads:
            numbers.append(torch.nn.utils.get_total_norm(grads, math.inf).float())
        if numbers and not torch.stack(numbers).isfinite().all():
            named = dict(zip([*self._losses, 'largest gradient'], numbers))
            raise NotFinite({name: number.item() for name, number in named.items()}, 'the weights were not changed')

    def check(self, summary: Mapping[str, float]) -> None:
        """Looks at losses that were not watched, or whose step the scaler of float16 skipped.

        Raises:
            NotFinite: if one is not finite.
        """
        if not all(math.isfinite(value) for value in summary.values()):
            raise NotFinite(summary, 'nothing of this step is saved')
