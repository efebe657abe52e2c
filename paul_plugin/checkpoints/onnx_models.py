"""The models of torchreid's whose ONNX files are read, each as the steps of its feature map."""

import functools
import operator
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torchreid
from torch import Tensor, fx, nn
from torch.nn import functional as F

from .layers import WEIGHTED, Step, in_order

_SIZES = ('x1_0', 'x0_75', 'x0_5', 'x0_25')
# What the steps of a kind of network have and those of others lack -> its models, the likeliest first. Some are in one
# of torchreid's two layouts alone.
_NAMES = {
    frozenset({'sigmoid', 'instance'}): ('osnet_ibn_x1_0', *(f'osnet_ain_{size}' for size in _SIZES)),
    frozenset({'sigmoid'}): tuple(f'osnet_{size}' for size in _SIZES[::-1]),
    frozenset({'relu6'}): ('mobilenetv2_x1_0', 'mobilenetv2_x1_4'),
    frozenset(): ('resnet50', 'resnet50_fc512', 'resnet18', 'resnet34', 'resnet101', 'resnet152'),
}
KINDS = "torchreid's OSNet, OSNet-AIN, ResNet and MobileNetV2"
_FUNCTIONS: dict[Any, str] = {
    operator.add: 'add', operator.iadd: 'add', torch.add: 'add', operator.mul: 'mul', torch.mul: 'mul',
    F.relu: 'relu', torch.relu: 'relu', F.relu6: 'relu6', torch.sigmoid: 'sigmoid',
}  # fmt: skip
_MODULES = {nn.ReLU: 'relu', nn.ReLU6: 'relu6', nn.Sigmoid: 'sigmoid', nn.AdaptiveAvgPool2d: 'mean'}


class Model(NamedTuple):
    """One of torchreid's models.

    Attributes:
        name: torchreid's.
        steps: of its feature map, in the order of execution; tensors are told by their shapes.
        last: of them, the map itself.
        has_fc: whether its descriptor is not the mean of the map, but that after a linear layer, a norm and a ReLU.
    """

    name: str
    steps: list[Step]
    last: Step
    has_fc: bool


def models_like(steps: Sequence[Step]) -> Iterator[Model]:
    """The models of the kind that steps are of, each built when it is its turn."""
    kinds = {step.kind for step in steps}
    names = next(names for telling, names in _NAMES.items() if telling <= kinds)
    return filter(None, map(model_of, names))


class _FeatureMap(nn.Module):
    """A model up to its feature map."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        return self.net.featuremaps(images)


@functools.cache
def model_of(name: str) -> Model | None:
    """A model as steps, which is built without memory; None if this version of torchreid has no such model."""
    try:
        with torch.device('meta'):
            net = torchreid.models.build_model(name, num_classes=1, loss='softmax', pretrained=False, use_gpu=False)
    except KeyError:
        return None
    traced = fx.symbolic_trace(_FeatureMap(net.eval()))
    last = _step_of(traced)
    return Model(name, in_order([last]), last, net.fc is not None)


def _step_of(traced: fx.GraphModule) -> Step:
    """The last step of a traced model."""
    steps: dict[fx.Node, Step | None] = {}
    uses = Counter(read for node in traced.graph.nodes for read in node.all_input_nodes)
    last = None
    for node in traced.graph.nodes:
        read = [steps[each] for each in node.args if isinstance(each, fx.Node)]
        match node.op:
            case 'placeholder':
                steps[node] = None
            case 'output':
                last = read[0]
            case 'call_function':
                alone = 0 in node.args  # a sum that begins with 0, of which exporters leave nothing
                steps[node] = read[0] if alone else Step(_FUNCTIONS[node.target], read, str(node))
            case 'call_module':
                steps[node] = _of_layer(traced.get_submodule(node.target), node.target.removeprefix('net.'), read)
                norm = steps[node]
                before = norm.inputs[0]
                if norm.kind == 'norm' and before.kind in WEIGHTED and uses[node.args[0]] == 1:
                    before.norm, before.eps = norm.name, norm.eps
                    steps[node] = before
            case _:
                raise NotImplementedError(f'{node.op} {node.target}')
    assert last is not None
    return last


def _of_layer(layer: Any, name: str, read: list) -> Step:
    """A layer of torch's as a step."""
    shapes = {key: tuple(value.shape) for key, value in layer.named_parameters()}
    if isinstance(layer, nn.Conv2d):
        settings = (layer.stride, tuple(layer.padding) * 2, layer.dilation, layer.groups)
        return Step('conv', read, name, settings, shapes)
    if isinstance(layer, nn.BatchNorm2d):
        return Step('norm', read, name, (), shapes, eps=layer.eps)
    if isinstance(layer, nn.InstanceNorm2d):
        return Step('instance', read, name, (round(layer.eps, 9),), shapes)
    if isinstance(layer, (nn.MaxPool2d, nn.AvgPool2d)):
        size, stride, padding = map(_pair, (layer.kernel_size, layer.stride, layer.padding))
        kind = 'max' if isinstance(layer, nn.MaxPool2d) else 'average'
        return Step(kind, read, name, (size, stride, padding * 2, layer.ceil_mode, False))
    return Step(_MODULES[type(layer)], read, name)


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def fits(step: Step, of_model: Step) -> bool:
    """Whether a step of a file does what one of a model does, if it does it to the same inputs."""
    if (step.kind, step.settings) != (of_model.kind, of_model.settings):
        return False
    shapes = {key: value.shape for key, value in step.tensors.items()}
    if of_model.norm is not None:
        return shapes.get('weight') == of_model.tensors['weight']
    if 'bias' in shapes and 'bias' not in of_model.tensors and not step.tensors['bias'].any():
        del shapes['bias']
    elif 'bias' in of_model.tensors:  # of zeros an exporter may leave nothing
        shapes.setdefault('bias', of_model.tensors['bias'])
    return step.norm is None and shapes == of_model.tensors
