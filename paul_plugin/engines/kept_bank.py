"""The bank that the trials of a rate have filled: a run from the same weights takes it and fills no other."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..runtime import processes

State = dict[str, Tensor]


def states_of(modules: Sequence[nn.Module]) -> list[State]:
    """Copies of the modules' tensors, in the main memory: a GPU may have no room for a second bank."""
    return [
        {name: value.detach().to('cpu', copy=True) for name, value in module.state_dict().items()}
        for module in modules
    ]  # fmt: skip


def restore(modules: Sequence[nn.Module], states: Sequence[Mapping[str, Tensor]]) -> None:
    for module, state in zip(modules, states, strict=True):
        module.load_state_dict(state)


class KeptBank:
    """What the filling of a bank made of a model and a bank, kept until a run asks for it.

    Args:
        modules: the model, the bank and what else the filling writes to.
        model: the model's tensors before the filling.
        filled: those of all modules after it.
    """

    def __init__(self, modules: Sequence[nn.Module], model: State, filled: Sequence[State]) -> None:
        self._modules, self._model, self._filled = modules, model, filled

    def take(self) -> bool:
        """Puts the modules into the filled state; all processes call it.

        Returns:
            False, and nothing is done, where the model is not as it was before the filling.
        """
        now = self._modules[0].state_dict()
        same = all(torch.equal(value, now[name].cpu()) for name, value in self._model.items())
        if processes.any_of(not same):
            return False
        restore(self._modules, self._filled)
        return True
