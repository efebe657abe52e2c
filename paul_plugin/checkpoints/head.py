"""The head of one of torchreid's models as one linear map, which the branches of a START begin as."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

_PREFIX = 'backbone.fc.'
_EPS = 1e-5  # of torch's BatchNorm


class Head(NamedTuple):
    """`x -> weight x + bias`, what a head does before its ReLU.

    Attributes:
        weight: (E, C).
        bias: (E,).
    """

    weight: Tensor
    bias: Tensor


def head_of(state: Mapping[str, Tensor]) -> Head | None:
    """The head that a file's weights hold: a Linear layer, its BatchNorm folded into it.

    torchreid's models call it `fc`: a Sequential of Linear, BatchNorm1d and ReLU.

    Args:
        state: weights under PatchNet's names, as `state_of` gives them.

    Returns:
        The head, in float64; None where there is none, or one of several Linear layers.
    """
    own = {key.removeprefix(_PREFIX): value.double() for key, value in state.items() if key.startswith(_PREFIX)}
    weight = own.get('0.weight')
    if weight is None or weight.dim() != 2 or any(value.dim() == 2 for key, value in own.items() if key != '0.weight'):
        return None
    bias = own.get('0.bias', weight.new_zeros(len(weight)))
    if {'1.running_mean', '1.running_var'} <= own.keys():
        share = (own['1.running_var'] + _EPS).rsqrt() * own.get('1.weight', 1)
        weight, bias = weight * share[:, None], (bias - own['1.running_mean']) * share + own.get('1.bias', 0)
    return Head(weight, bias)


def enough_numbers(head: Head, most: int) -> int:
    """D, the length of a branch's output that keeps all distances: of a head they lie in few directions.

    Args:
        head: of the file.
        most: what D is at most.
    """
    # The bias adds one direction to those of the weight.
    return min(most, len(head.weight), head.weight.shape[1] + 1)


def fits(head: Head | None, channels: int) -> bool:
    """Whether the head reads the average of a feature map of so many channels."""
    return head is not None and head.weight.shape[1] == channels


def directions(head: Head, dim: int) -> tuple[Tensor, Tensor]:
    """The head's output in `dim` directions that hold all of it, or the most of it.

    Returns:
        weight (dim, C) and bias (dim,); where `dim` is at least the number of directions that the head's outputs take
        up, distances and cosines between outputs are the head's own.
    """
    both = torch.cat([head.weight, head.bias[:, None]], 1)
    axes = torch.linalg.svd(both, full_matrices=False).U[:, :dim]
    turned = axes.T @ both
    turned = torch.nn.functional.pad(turned, (0, 0, 0, dim - len(turned)))
    return turned[:, :-1], turned[:, -1]
