"""Weights of ONNX files: the model of torchreid's that they are put into computes what the file does."""

import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torchreid
from helpers.onnx_files import build, export, folded_fully, renamed, reordered, save
from onnx import helper, numpy_helper

from paul_plugin.checkpoints import onnx_graph
from paul_plugin.checkpoints.norms import measure_norms, unmeasured
from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.checkpoints.weights import load_host_weights, load_weights
from paul_plugin.checkpoints.weights_file import WeightsFile, state_of
from paul_plugin.runtime.errors import UserError

IMAGES = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(3))
PRESERVE = torch.onnx.TrainingMode.PRESERVE


class Logits(torch.nn.Module):
    """What a model in training gives, in eval mode."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images):
        return self.net.classifier(self.net(images))


class Normalised(Logits):
    def forward(self, images):
        return torch.nn.functional.normalize(self.net(images))


class Maps(Logits):
    def forward(self, images):
        return self.net.featuremaps(images)


@pytest.fixture(scope='module')
def osnet():
    return export(build('osnet_x0_25')).SerializeToString()


@pytest.fixture
def graph(osnet):
    return onnx.load_from_string(osnet)


def folded(checkpoint):
    """The norms whose statistics no file tells."""
    passes = torch.tensor(1 - 1e-5)
    variances = {key: value for key, value in checkpoint['state_dict'].items() if key.endswith('.running_var')}
    return [key.removesuffix('.running_var') for key, value in variances.items() if (value == passes).all()]


def described(model):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return torch.tensor(session.run(None, {session.get_inputs()[0].name: IMAGES.numpy()})[0])


def loaded(path, name, wrap=lambda net: net):
    """A model of torchreid's with the weights of a file, and what the file holds."""
    checkpoint = read_checkpoint(path)
    assert state_of(checkpoint, path)[0] == 'torchreid'
    net = torchreid.models.build_model(name, 3, loss='softmax', pretrained=False, use_gpu=False)
    found = net.load_state_dict(checkpoint['state_dict'], strict=False)
    assert found.unexpected_keys == []
    return wrap(net.eval()), checkpoint, found.missing_keys


def same(path, model, name, wrap=lambda net: net):
    net, checkpoint, missing = loaded(path, name, wrap)
    wanted = described(model)
    with torch.no_grad():
        torch.testing.assert_close(net(IMAGES), wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))
    return checkpoint, missing


def test_the_older_exporter(tmp_path, graph):
    checkpoint, missing = same(save(graph, tmp_path / 'a.onnx'), graph, 'osnet_x0_25')
    assert checkpoint['size'] == [64, 32]
    assert missing == ['classifier.weight', 'classifier.bias']
    assert len(folded(checkpoint)) == 79
    assert 'fc.1' not in folded(checkpoint)
    fc = build('osnet_x0_25').fc
    for key, value in fc.state_dict().items():
        assert torch.equal(checkpoint['state_dict'][f'fc.{key}'], value) or key.endswith('tracked')


def test_names_and_the_order_of_nodes_are_not_trusted(tmp_path, graph):
    before = [node.op_type for node in graph.graph.node]
    model = reordered(renamed(graph))
    assert [node.op_type for node in model.graph.node] != before
    same(save(model, tmp_path / 'a.onnx'), model, 'osnet_x0_25')


def test_everything_folded_as_by_the_newer_exporter(tmp_path, graph):
    model = folded_fully(graph)
    checkpoint, missing = same(save(model, tmp_path / 'a.onnx'), model, 'osnet_x0_25')
    assert len(folded(checkpoint)) == 80
    assert 'fc.1' in folded(checkpoint)
    assert missing == ['classifier.weight', 'classifier.bias']


def test_biases_of_zeros_that_are_left_out(tmp_path, graph):
    """As by the newer exporter, of gates."""
    for node in graph.graph.node:
        if node.op_type == 'Conv' and node.name.endswith(('fc1/Conv', 'fc1_1/Conv', 'fc1_2/Conv', 'fc1_3/Conv')):
            del node.input[2]
    same(save(graph, tmp_path / 'a.onnx'), graph, 'osnet_x0_25')


@pytest.mark.parametrize('name', ['osnet_ain_x1_0', 'resnet18', 'mobilenetv2_x1_0'])
def test_other_models(name, tmp_path):
    model = renamed(export(build(name), opset=12))
    checkpoint, _ = same(save(model, tmp_path / 'a.onnx'), model, name)
    norms = [layer for layer in build(name).modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    assert len(folded(checkpoint)) == len(norms)


def test_norms_that_are_not_folded_keep_their_statistics(tmp_path):
    net = build('osnet_x0_25')
    model = export(net, training=PRESERVE)
    checkpoint, _ = same(save(model, tmp_path / 'a.onnx'), model, 'osnet_x0_25')
    assert folded(checkpoint) == []
    for key, value in net.state_dict().items():
        if not key.startswith('classifier.') and value.is_floating_point():
            assert torch.equal(checkpoint['state_dict'][key], value), key


@pytest.mark.parametrize(('name', 'wrap', 'missing'), [
    ('osnet_x0_25', Logits, []),
    ('osnet_x0_25', Normalised, ['classifier.weight', 'classifier.bias']),
])  # fmt: skip
def test_other_ends(name, wrap, missing, tmp_path):
    model = export(wrap(build(name)))
    assert same(save(model, tmp_path / 'a.onnx'), model, name, wrap)[1] == missing


@pytest.mark.parametrize('pooled', [False, True])
def test_files_without_a_head(pooled, tmp_path):
    net = build('osnet_x0_25')
    net.fc = None
    model = export(net if pooled else Maps(net))
    path = save(model, tmp_path / 'a.onnx')
    checkpoint = read_checkpoint(path)
    assert not any(key.startswith('fc.') for key in checkpoint['state_dict'])
    net, _, missing = loaded(path, 'osnet_x0_25')
    net.fc = None
    assert {key.partition('.')[0] for key in missing} == {'fc', 'classifier'}
    with torch.no_grad():
        torch.testing.assert_close((net if pooled else Maps(net))(IMAGES), described(model), rtol=1e-4, atol=1e-5)


def test_half_precision(tmp_path, graph):
    """Weights of 16 bits are taken as they are, between casts of the images and the descriptor."""
    for tensor in graph.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    state = read_checkpoint(save(graph, tmp_path / 'a.onnx'))['state_dict']
    own = build('osnet_x0_25').state_dict()
    torch.testing.assert_close(state['fc.0.weight'], own['fc.0.weight'], rtol=1e-3, atol=1e-6)
    assert all(value.dtype in (torch.float32, torch.int64) for value in state.values())


# ---- what is refused ------------------------------------------------------------------------------------------------


def refusal(path):
    with pytest.raises(UserError) as caught:
        read_checkpoint(path)
    text = str(caught.value)
    assert '\n' not in text
    assert len(text) < 600
    return text


def test_the_first_node_that_does_not_fit_is_named(tmp_path, graph):
    convs = [node for node in graph.graph.node if node.op_type == 'Conv']
    for node, attribute in ((convs[30], 'strides'), (convs[90], 'pads')):
        next(item for item in node.attribute if item.name == attribute).ints[0] += 1
    convs[30].name = 'one\nnode'
    text = refusal(save(graph, tmp_path / 'a.onnx'))
    assert "node 'one\\nnode' (Conv) does not fit osnet_x0_25, which has conv2.0.conv3.conv, conv of (64," in text
    assert 'name the checkpoint that it was exported from' in text


def test_a_branch_that_leads_elsewhere_is_named(tmp_path, graph):
    """All shapes fit, but a sum takes one gate twice."""
    sums = [node for node in graph.graph.node if node.op_type == 'Add']
    sums[1].input[1] = sums[0].input[1]
    text = refusal(save(graph, tmp_path / 'a.onnx'))
    assert f'node {sums[1].name} (Add) does not fit osnet_x0_25, which has conv2.0.conv2c.0.conv1,' in text


def test_another_network(tmp_path):
    text = refusal(save(export(build('squeezenet1_1')), tmp_path / 'a.onnx'))
    assert 'node /features/features.0/Conv (Conv) does not fit resnet50, which has conv1,' in text


def test_a_file_that_ends_early(tmp_path, graph):
    del graph.graph.node[100:]
    graph.graph.output[0].name = graph.graph.node[-1].output[0]
    assert 'it ends before layer conv2.1.' in refusal(save(graph, tmp_path / 'a.onnx'))


def test_another_head(tmp_path, graph):
    last = graph.graph.node[-1]
    last.op_type = 'Sigmoid'
    assert f'node {last.name} (Sigmoid) does not fit osnet_x0_25, which ends in' in refusal(
        save(graph, tmp_path / 'a.onnx')
    )


def test_weights_in_another_file(tmp_path, graph):
    onnx.save(graph, tmp_path / 'a.onnx', save_as_external_data=True, location='a.data', size_threshold=0)
    assert 'keeps its weights in another file: save it as one' in refusal(tmp_path / 'a.onnx')
    (tmp_path / 'a.data').unlink()
    assert 'keeps its weights in another file: save it as one' in refusal(tmp_path / 'a.onnx')


def test_files_that_are_not_whole(tmp_path, graph):
    whole = graph.SerializeToString()
    path = tmp_path / 'a.onnx'
    for size in (20, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert 'is damaged or no ONNX file (DecodeError): get it again' in refusal(path)
    graph.graph.initializer[0].dims[0] = 1 << 40
    name = graph.graph.initializer[0].name
    assert refusal(save(graph, path)) == f'{path} is damaged: {name} is not whole'


def test_nodes_that_no_exporter_writes(tmp_path, graph):
    path = tmp_path / 'a.onnx'
    graph.graph.node.insert(0, helper.make_node('Relu', ['nowhere'], ['somewhere'], name='a'))
    assert 'node a (Relu) reads nowhere, which no node before it writes' in refusal(save(graph, path))
    del graph.graph.node[0]
    next(item for item in graph.graph.node[0].attribute if item.name == 'strides').type = onnx.AttributeProto.INT
    assert 'is damaged, or no ONNX file that is valid: ' in refusal(save(graph, path))


def test_the_package_that_is_missing_is_named(tmp_path, graph, monkeypatch):
    path = save(graph, tmp_path / 'a.onnx')
    monkeypatch.setitem(sys.modules, 'onnx', None)
    assert refusal(path) == 'the package onnx is not there: pip install onnx'


def test_models_of_torchreids_own_take_it(tmp_path, graph):
    """And say which norms have to be measured before their training."""
    net = build('osnet_x0_25').eval()
    assert load_host_weights(net, WeightsFile(save(graph, tmp_path / 'a.onnx'))) == unmeasured(net)
    assert len(unmeasured(net)) == 79
    with torch.no_grad():
        torch.testing.assert_close(net(IMAGES), build('osnet_x0_25').eval()(IMAGES))


def test_into_a_patchnet(tmp_path, graph):
    net = torchreid.models.build_model('paul_osnet_x0_25', pretrained=False, loss='paul', dim=8)
    loaded = load_weights(net, save(graph, tmp_path / 'a.onnx'))
    assert loaded.kind == 'torchreid'
    assert {key.partition('.fc.')[0] for key in loaded.left} == {'backbone'}
    assert not [key for key in loaded.missing if key.startswith('backbone.')]
    of = [name.partition('.')[0] for name in loaded.unmeasured]
    assert (of.count('backbone'), of.count('branches'), len(of)) == (79, 6, 85)
    torch.save({'state_dict': net.state_dict()}, tmp_path / 'a.pth')
    assert load_weights(net, tmp_path / 'a.pth').unmeasured == loaded.unmeasured  # it still cannot be trained as it is
    measure_norms(net, [torch.randn(4, 3, 64, 48)], loaded.unmeasured)
    assert unmeasured(net) == []


def test_files_that_are_too_large_are_refused(tmp_path, graph, monkeypatch):
    path = save(graph, tmp_path / 'a.onnx')
    monkeypatch.setattr(onnx_graph, 'MOST_NODES', 100)
    assert f'has {len(graph.graph.node)} nodes, no model that is read has so many' in refusal(path)
    monkeypatch.setattr(onnx_graph, 'MOST_BYTES', path.stat().st_size - 1)
    assert 'is larger than 0 GiB: no ONNX file of weights is' in refusal(path)


def test_an_output_that_no_node_makes(tmp_path, graph):
    graph.graph.output[0].name = 'nowhere'
    assert 'is damaged: its output comes from no node' in refusal(save(graph, tmp_path / 'a.onnx'))


def test_a_head_that_is_no_chain(tmp_path, graph):
    last = graph.graph.node[-1]
    last.op_type = 'Add'
    last.input.append(last.input[0])
    text = refusal(save(graph, tmp_path / 'a.onnx'))
    assert f'node {last.name} (Add) does not fit osnet_x0_25, which ends in' in text
