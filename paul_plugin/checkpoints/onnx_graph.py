"""Reads an ONNX file as data: its steps with their weights, the outputs, and the size of its images."""

import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..runtime.errors import UserError, import_optional, printable, reason
from .damaged import Damaged, refuse_unreadable
from .layers import WEIGHTED, Step

MOST_BYTES = 2 << 30  # protobuf reads no more
MOST_NODES = 20_000  # the largest of the models that are read, ResNet-152, has fewer than 1,000
_POINTWISE = {'Relu': 'relu', 'Sigmoid': 'sigmoid', 'Add': 'add', 'Mul': 'mul', 'GlobalAveragePool': 'mean'}
_PASSING = ('Identity', 'Dropout', 'Cast')
_RESHAPING = ('Reshape', 'Flatten', 'Squeeze')  # which pass a vector on as it is


class Graph(NamedTuple):
    """What an ONNX file computes.

    Attributes:
        outputs: the steps that its outputs are.
        size: height and width of its images in pixels; None if the file leaves them open.
    """

    outputs: list[Step]
    size: tuple[int, int] | None


def read_graph(path: str | Path) -> Graph:
    """Reads an ONNX file; nothing in it is executed, and no other file is opened.

    Raises:
        UserError: if the package onnx is missing, or the file cannot be read, keeps its weights elsewhere or is too
            large.
        Damaged: if it is damaged.
    """
    onnx = import_optional('onnx')
    if os.path.getsize(path) > MOST_BYTES:
        raise UserError(f'{printable(path)} is larger than {MOST_BYTES >> 30} GiB: no ONNX file of weights is')
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own class, which has several names
        refuse_unreadable(path, error)
        raise Damaged(f'{printable(path)} is damaged or no ONNX file ({type(error).__name__}): get it again') from None
    if len(model.graph.node) > MOST_NODES:
        raise UserError(f'{printable(path)} has {len(model.graph.node)} nodes, no model that is read has so many')
    try:
        return _Reader(onnx, model.graph, path).graph()
    except UserError:
        raise
    except Exception as error:  # a number where a list belongs, a node without inputs: whatever a file may hold
        refuse_unreadable(path, error)
        raise Damaged(f'{printable(path)} is damaged, or no ONNX file that is valid: {reason(error, 100)}') from None


class _Reader:
    """One graph, node by node in the order of the file, which the format wants to be one of execution."""

    def __init__(self, onnx: Any, graph: Any, path: str | Path) -> None:
        self.onnx, self.its, self.path = onnx, graph, path
        self.constants: dict[str, Any] = {tensor.name: tensor for tensor in graph.initializer}
        self.steps: dict[str, Step | None] = {}
        self.uses = Counter(name for node in graph.node for name in node.input)
        self.uses.update(value.name for value in graph.output)

    def graph(self) -> Graph:
        images = [value for value in self.its.input if value.name not in self.constants]
        self.steps = {value.name: None for value in images}
        for node in self.its.node:
            self._read(node)
        outputs = [self.steps.get(value.name) for value in self.its.output]
        found = [step for step in outputs if step is not None]
        if not found:
            raise Damaged(f'{printable(self.path)} is damaged: its output comes from no node')
        sizes = [tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim[2:]) for value in images]
        size = sizes[0] if len(sizes) == 1 and len(sizes[0]) == 2 and all(side > 0 for side in sizes[0]) else None
        return Graph(found, size)

    def _read(self, node: Any) -> None:
        attributes = {item.name: self.onnx.helper.get_attribute_value(item) for item in node.attribute}
        if node.op_type == 'Constant':
            self.constants[node.output[0]] = next(iter(attributes.values()), None)
            return
        if node.op_type in ('Identity', 'Cast', 'Transpose') and node.input[0] in self.constants:
            value = self.constants[node.input[0]]
            if node.op_type == 'Transpose':
                value = np.transpose(self._array(node.input[0]), attributes.get('perm'))
            self.constants[node.output[0]] = value
            return
        step = self._step(node, attributes)
        self.steps |= dict.fromkeys(node.output, step)

    def _array(self, name: str) -> np.ndarray | None:
        """A constant; None for what is none.

        Raises:
            UserError: if it is in another file.
            Damaged: if it is not whole.
        """
        value = self.constants.get(name)
        if value is None:
            return None
        if not isinstance(value, self.onnx.TensorProto):
            return np.asarray(value)
        if value.data_location == self.onnx.TensorProto.EXTERNAL:
            raise UserError(
                f'{printable(self.path)} keeps its weights in another file: save it as one, by '
                'torch.onnx.export(..., external_data=False) or onnx.save(onnx.load(PATH), NEW)'
            )
        try:
            return self.onnx.numpy_helper.to_array(value)
        except Exception as error:  # a hostile tensor fails in many ways
            refuse_unreadable(self.path, error)
            raise Damaged(f'{printable(self.path)} is damaged: {printable(name)[:200]} is not whole') from None

    def _step(self, node: Any, attributes: dict[str, Any]) -> Step | None:
        """The step that a node does; the one before it, where the node only passes that on or is a part of it."""
        type_ = node.op_type if node.domain in ('', 'ai.onnx') else f'{node.domain}.{node.op_type}'
        name = f'{printable(node.name or ", ".join(node.output))[:200]} ({printable(type_)[:100]})'
        read = [value for value in node.input if value and value not in self.constants]
        missing = [value for value in read if value not in self.steps]
        if missing:
            raise Damaged(f'{printable(self.path)} is damaged: node {name} reads {printable(missing[0])[:200]}, which '
                          'no node before it writes')  # fmt: skip
        inputs = [self.steps[value] for value in read]
        other = Step(f'({type_})', inputs, name)
        before = inputs[0] if inputs else None
        if type_ in _PASSING or (type_ in _RESHAPING and before is not None and before.kind in ('mean', 'linear')):
            return before
        arrays = [self._array(value) for value in node.input if value in self.constants]
        alone = before is not None and self.uses[read[0]] == 1
        match type_:
            case 'Conv' if len(inputs) == 1 and arrays and arrays[0].ndim == 4:
                return Step('conv', inputs, name, _of_conv(attributes), _weights(*arrays))
            case 'Gemm' if len(inputs) == 1 and arrays and not attributes.get('transA', 0):
                weight, *bias = (array.astype(np.float64) for array in arrays)
                weight = weight * attributes.get('alpha', 1.0)
                bias = [each * attributes.get('beta', 1.0) for each in bias]
                weight = weight if attributes.get('transB') else weight.T
                return Step('linear', inputs, name, (), _weights(weight, *bias))
            case 'MatMul' if len(inputs) == 1 and arrays and arrays[0].ndim == 2 and node.input[1] in self.constants:
                return Step('linear', inputs, name, (), _weights(arrays[0].T))
            case 'Add' if len(inputs) == 1 and arrays:
                return self._shifted(before if alone else None, arrays[0]) or (other if arrays[0].any() else before)
            case 'BatchNormalization' if len(inputs) == 1 and len(arrays) == 4 and not attributes.get('training_mode'):
                eps = attributes.get('epsilon', 1e-5)
                if alone and before.kind in WEIGHTED and before.norm is None:
                    before.norm, before.eps = arrays, eps
                    return before
                return Step('norm', inputs, name)
            case 'InstanceNormalization' if len(inputs) == 1 and len(arrays) == 2:
                eps = round(attributes.get('epsilon', 1e-5), 9)
                return Step('instance', inputs, name, (eps,), _weights(*arrays))
            case 'MaxPool' | 'AveragePool':
                return Step('max' if type_ == 'MaxPool' else 'average', inputs, name, _of_pool(attributes))
            case 'ReduceMean' if len(inputs) == 1:
                axes = attributes.get('axes', arrays[0].tolist() if arrays else ())
                return Step('mean', inputs, name) if sorted(axes) in ([2, 3], [-2, -1]) else other
            case 'Pad' if arrays and not arrays[0].any():
                return before
            case 'Clip':
                bounds = [attributes[key] for key in ('min', 'max') if key in attributes] or arrays
                return Step('relu6', inputs, name) if [float(bound) for bound in bounds] == [0, 6] else other
        return Step(_POINTWISE[type_], inputs, name) if type_ in _POINTWISE and not arrays else other

    def _shifted(self, before: Step | None, shift: np.ndarray) -> Step | None:
        """A layer with a sum's constant as its bias; None if it cannot be that."""
        if before is None or before.kind not in WEIGHTED or before.norm is not None:
            return None
        count = before.tensors['weight'].shape[0]
        place = -3 if before.kind == 'conv' else -1
        if shift.size != count or shift.ndim < -place or shift.shape[place] != count:
            return None
        before.tensors['bias'] = before.tensors.get('bias', 0) + shift.reshape(count)
        return before


def _weights(weight: np.ndarray, bias: np.ndarray | None = None) -> dict[str, np.ndarray]:
    return {'weight': weight} if bias is None else {'weight': weight, 'bias': bias.reshape(-1)}


def _of_conv(attributes: dict[str, Any]) -> tuple:
    """Stride, padding, dilation and groups of a convolution, as `onnx_models` has them; its size is its weight's."""
    dilations = tuple(attributes.get('dilations', (1, 1)))
    return (*_of_window(attributes), dilations, attributes.get('group', 1))


def _of_pool(attributes: dict[str, Any]) -> tuple:
    """Size, stride, padding, and whether a part of a window counts, in either of two ways."""
    pads = any(attributes.get('pads', ()))
    return (
        tuple(attributes['kernel_shape']),
        *_of_window(attributes),
        bool(attributes.get('ceil_mode', 0)),
        bool(attributes.get('count_include_pad', 0)) and pads,
    )


def _of_window(attributes: dict[str, Any]) -> tuple:
    """Stride, and padding at each of the four sides; where the file leaves that to the runtime, its word for it."""
    auto = attributes.get('auto_pad', b'NOTSET')
    pads = tuple(attributes.get('pads', (0, 0, 0, 0))) if auto in (b'NOTSET', b'VALID') else auto
    return tuple(attributes.get('strides', (1, 1))), pads
