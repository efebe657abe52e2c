"""Weights of an ONNX file under torchreid's names: a model of torchreid's is looked for that computes the same."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..runtime.errors import UserError, printable
from .layers import Step, in_order, inputs_in_order
from .onnx_graph import read_graph
from .onnx_models import KINDS, Model, fits, models_like

SIZE = 'size'  # of a checkpoint, beside `state_dict`: height and width of the file's images
_EPS = 1e-5  # of torchreid's norms
# Nodes that change only the length of a descriptor, or are parts of that
_OF_LENGTH = ('(LpNormalization)', '(ReduceL2)', '(Clip)', '(Max)', '(Expand)', '(Div)', '(Shape)')


def read_onnx(path: str | Path) -> dict:
    """Reads an ONNX file of one of torchreid's models as a checkpoint of that model.

    A norm that the exporter has folded into the layer before it gets mean 0, variance 1 less its eps, weight 1 and a
    bias such that the model in eval mode computes what the file does. `unmeasured` finds such norms in a model, and
    `measure_norms` gives them true statistics.

    Returns:
        `{'state_dict': torchreid's names -> float32}`, and `size`: [height, width], if the file tells it.

    Raises:
        UserError: one line, if the package onnx is missing, the file cannot be read, or it is of another model: the
            first node that does not fit is named.
    """
    graph = read_graph(path)
    steps = in_order(graph.outputs)
    model = next((model for model in models_like(steps) if _fitting(steps, model.steps) == len(model.steps)), None)
    if model is None:
        raise _refusal_of_all(in_order(graph.outputs, as_written=True), path)
    state: dict[str, Tensor] = {}
    for step, its in zip(steps, model.steps):
        missing = {key: np.zeros(shape) for key, shape in its.tensors.items() if key not in step.tensors}
        step.tensors |= missing  # biases of zeros, which some exporters leave out
        _take(step, its.name, its.norm, its.eps, state)
    _take_head(steps[len(model.steps) :], steps[len(model.steps) - 1], model, path, state)
    return {'state_dict': state} | ({SIZE: list(graph.size)} if graph.size else {})


def _refusal_of_all(steps: Sequence[Step], path: str | Path) -> UserError:
    """Names the first step that does not fit the model of which most do.

    Args:
        steps: as they are written: that a sum's inputs are in another order than the model's is unlikely here.
        path: the file.
    """
    models = [(model, in_order([model.last], as_written=True)) for model in models_like(steps)]
    model, wanted = max(models, key=lambda one: _fitting(steps, one[1]))  # the first of the best
    count = _fitting(steps, wanted)
    if count == len(steps):
        return _refusal(path, f'it ends before layer {wanted[count].name} of {model.name}')
    it = _in_words(wanted[min(count, len(wanted) - 1)])
    return _refusal(path, f'node {steps[count].name} does not fit {model.name}, which has {it} there')


def _fitting(steps: Sequence[Step], of_model: Sequence[Step]) -> int:
    """How many of the first steps do what those of a model do."""
    places: dict[Step | None, int] = {None: -1}
    for count, (step, its) in enumerate(zip(steps, of_model)):
        places |= {step: count, its: count}
        if inputs_in_order(step, places) != inputs_in_order(its, places) or not fits(step, its):
            return count
    return min(len(steps), len(of_model))


def _in_words(step: Step) -> str:
    shape = step.tensors.get('weight')
    return f'{step.name}, {step.kind}' + (f' of {tuple(shape)}' if shape else '')


def _refusal(path: str | Path, why: str) -> UserError:
    return UserError(
        f'{printable(path)} is an ONNX file that weights cannot be taken from: {why}; files of {KINDS} are read, for '
        'another model name the checkpoint that it was exported from'
    )


def _take(step: Step, name: str, norm: object, eps: float, state: dict[str, Tensor]) -> None:
    """Takes the tensors of a step, and those of the norm that follows its layer in the model."""
    tensors = dict(step.tensors)
    # A layer before a norm that was not folded keeps its bias, which only linear layers have.
    bias = tensors.pop('bias', None) if norm is not None and (step.norm is None or step.kind == 'conv') else None
    state |= {f'{name}.{key}': _tensor(value) for key, value in tensors.items()}
    if norm is None:
        return
    if step.norm is not None:
        weight, shift, mean, var = (np.asarray(value, np.float64) for value in step.norm)
        mean = mean - (0 if bias is None else bias)
        var = var + (step.eps - eps)  # so that with the model's own eps it is the same
    else:
        count = len(tensors['weight'])
        shift = np.zeros(count) if bias is None else bias
        weight, mean, var = np.ones(count), np.zeros(count), np.full(count, 1 - eps)  # see norms.py
    values = {'weight': weight, 'bias': shift, 'running_mean': mean, 'running_var': var}
    state |= {f'{norm}.{key}': _tensor(value) for key, value in values.items()}
    state[f'{norm}.num_batches_tracked'] = torch.tensor(0)


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))


def _take_head(head: Sequence[Step], maps: Step, model: Model, path: str | Path, state: dict[str, Tensor]) -> None:
    """Takes what follows the feature map, if anything: the layers of `fc`, and the classifier."""
    layers: list[tuple[Step, bool]] = []  # with whether a ReLU follows
    before = maps
    for place, step in enumerate(head):
        is_layer = step.kind == 'linear' or (step.kind == 'conv' and step.tensors['weight'].shape[2:] == (1, 1))
        if place == 0 and step.kind == 'mean':
            pass
        elif step.kind in _OF_LENGTH and place > 0 and all(read in head for read in step.inputs):
            continue
        elif step.inputs != [before] or place == 0:
            raise _refusal_of_head(step, model, path)
        elif is_layer:
            layers.append((step, False))
        elif step.kind == 'relu' and layers and layers[-1][0] is before:
            layers[-1] = (before, True)
        else:
            raise _refusal_of_head(step, model, path)
        before = step
    for number, (step, rectified) in enumerate(layers):
        if step.kind == 'conv':
            step.tensors['weight'] = step.tensors['weight'][:, :, 0, 0]
        last = number == len(layers) - 1 and step.norm is None and not rectified
        if last and (number > 0 or not model.has_fc):
            state |= {f'classifier.{key}': _tensor(value) for key, value in step.tensors.items()}
        else:
            state[f'fc.{3 * number}.bias'] = torch.zeros(len(step.tensors['weight']))
            _take(step, f'fc.{3 * number}', f'fc.{3 * number + 1}', _EPS, state)


def _refusal_of_head(step: Step, model: Model, path: str | Path) -> UserError:
    return _refusal(path, f'node {step.name} does not fit {model.name}, which ends in a mean, fc and classifier')
