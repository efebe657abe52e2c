"""ONNX files of torchreid's models, as exporters and those who change such files leave them."""

import io
import warnings

import onnx
import torch
import torchreid
from onnx import helper, numpy_helper
from torch import nn

# The operators of an exported PatchNet, which every runtime has.
PLAIN = {
    'Abs', 'Add', 'Clip', 'Concat', 'Conv', 'Div', 'Gather', 'Gemm', 'MatMul', 'MaxPool', 'Mul', 'ReduceMean',
    'ReduceSum', 'Relu', 'Reshape', 'Sqrt', 'Sub', 'Transpose',
}  # fmt: skip


def operators(path) -> set[str]:
    return {node.op_type for node in onnx.load(path).graph.node}


def build(name, **options):
    """One of torchreid's models in eval mode whose norms and biases are not those of a model that is not trained."""
    torch.manual_seed(0)
    options = {'num_classes': 3, 'loss': 'softmax', 'pretrained': False, 'use_gpu': False, **options}
    net = torchreid.models.build_model(name, **options)
    for layer in net.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 2)
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d, nn.InstanceNorm2d)):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
        if getattr(layer, 'bias', None) is not None:
            nn.init.normal_(layer.bias, 0, 0.2)
    return net.eval()


def export(net, size=(64, 32), opset=17, training=torch.onnx.TrainingMode.EVAL, batch=2):
    """A model of onnx's, by the exporter that is fast enough for a test."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.onnx.export(
            net, torch.randn(batch, 3, *size), file, dynamo=False, opset_version=opset, training=training,
            input_names=['images'], dynamic_axes={'images': {0: 'batch'}},
        )  # fmt: skip
    return onnx.load_from_string(file.getvalue())


def renamed(model):
    """The same with names that tell nothing."""
    graph = model.graph
    names = {}
    for node in graph.node:
        node.name = ''
        node.input[:] = [names.setdefault(name, f'v{len(names)}') for name in node.input]
        node.output[:] = [names.setdefault(name, f'v{len(names)}') for name in node.output]
    for value in (*graph.initializer, *graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    return model


def reordered(model):
    """The same in another order of execution: of the nodes that can be next, always the last of the file."""
    graph = model.graph
    known = {value.name for value in (*graph.initializer, *graph.input)} | {''}
    left, nodes = list(graph.node), []
    while left:
        node = next(node for node in left[::-1] if known.issuperset(node.input))
        left.remove(node)
        nodes.append(node)
        known.update(node.output)
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def folded_fully(model):
    """As the newer exporter does: the norm after a Linear is folded, too, and a mean over space is a ReduceMean."""
    graph = model.graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type == 'BatchNormalization':
            gemm = nodes.pop()
            weight, bias, mean, var = (arrays[name] for name in node.input[1:])
            scale = weight / (var + 1e-5) ** 0.5
            new = {
                'folded.weight': arrays[gemm.input[1]] * scale[:, None],
                'folded.bias': (arrays[gemm.input[2]] - mean) * scale + bias,
            }
            graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in new.items())
            node = helper.make_node('Gemm', [gemm.input[0], *new], node.output, transB=1)
        elif node.op_type == 'GlobalAveragePool':
            node = helper.make_node('ReduceMean', node.input, node.output, axes=[2, 3], keepdims=1)
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def save(model, path):
    path.write_bytes(model.SerializeToString())
    return path
