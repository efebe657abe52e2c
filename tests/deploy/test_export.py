"""Exported descriptors in their own runtimes against torch: any batch, half precision, PCA; and what is refused."""

import json
import resource
import sys
from types import SimpleNamespace

import onnx
import onnxruntime
import pytest
import torch
from helpers.forks import Fork
from helpers.jobs import PROJECT
from helpers.models import DecidesInPython, small_patchnet
from helpers.onnx_files import PLAIN, operators
from onnx import helper
from torch import nn

from paul_plugin.commands import command
from paul_plugin.commands import export as tool
from paul_plugin.deploy.export import THRESHOLD, export
from paul_plugin.deploy.formats import FORMATS
from paul_plugin.deploy.half import FloatNorm, HalfPatchNet
from paul_plugin.deploy.pca import reduce_dimension
from paul_plugin.runtime.errors import UserError


@pytest.fixture(scope='module')
def trained(make_trained):
    return make_trained()._replace(model=small_patchnet(stages=2))  # whose weights weigh more than its graph


def run_onnx(path):
    session = onnxruntime.InferenceSession(str(path))
    text = session.get_modelmeta().custom_metadata_map['paul']
    return lambda images: torch.from_numpy(session.run(None, {'images': images.numpy()})[0]), text


def run_program(path):
    extra = {'paul': ''}
    return torch.export.load(path, extra_files=extra).module(), extra['paul']


def run_torchscript(path):
    extra = {'paul': ''}
    network = torch.jit.load(path, _extra_files=extra)
    return network, extra['paul']


@pytest.fixture(autouse=True)
def no_long_measuring(monkeypatch):
    monkeypatch.setattr('paul_plugin.deploy.export.SECONDS', 0)


RUNTIMES = {'.onnx': run_onnx, '.pt2': run_program, '.torchscript': run_torchscript}


@pytest.mark.parametrize('suffix', RUNTIMES)
def test_is_torch_in_its_own_runtime(trained, tmp_path, suffix):
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    random_state = torch.get_rng_state()
    done = export(trained, tmp_path / f'new folder/model{suffix}')
    assert torch.get_rng_state().equal(random_state)
    assert done.cosine >= THRESHOLD
    beside = [f'model{suffix}.metadata.json'] * (suffix == '.torchscript')
    assert sorted(path.name for path in done.path.parent.iterdir()) == [f'model{suffix}', *beside]
    run, text = RUNTIMES[suffix](done.path)
    for size in (1, 3, 8):
        images = torch.randn(size, 3, 96, 48)
        with torch.no_grad():
            expected = torch.nn.functional.normalize(trained.model(images), dim=1)
            torch.testing.assert_close(run(images), expected, atol=1e-5, rtol=0)
    metadata = json.loads(text)
    assert metadata == done.metadata
    assert (metadata['batch'], metadata['length']) == (None, 1)
    assert suffix != '.onnx' or operators(done.path) - PLAIN == set()
    assert (metadata['height'], metadata['width'], metadata['dimension']) == (96, 48, 96)
    assert metadata['mean'] == trained.cfg.data.norm_mean
    assert done.megabytes[1] == pytest.approx(done.megabytes[0], rel=0.15)  # of a small model the graph counts too
    if suffix != '.torchscript':  # a trace remembers where its lines are from
        assert str(PROJECT).encode() not in done.path.read_bytes()
    for name, value in trained.model.state_dict().items():
        assert value.equal(before[name]), name


def test_tool(embedded_run, tmp_path, capsys):
    target = tmp_path / 'model.torchscript'
    words = [str(embedded_run), str(target), '--dim', '8', '--batch', '1', '--input', 'unit', '--root', str(tmp_path)]
    command.main(tool, words)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f'{target}: images (1, 3, 64, 48) from 0 to 1 -> descriptors (1, 8)'
    assert [line.split()[-1] for line in out[3:5]] == ['images/s'] * 2
    assert out[5] == 'beside it, the size for boxmot: model.torchscript.metadata.json'
    assert out[6].startswith('the mAP that it costs was not measured: data set')


FULL_DISK = """
import resource, sys, torch
from paul_plugin.commands import command
from paul_plugin.deploy import export as module
from paul_plugin.deploy.export import export
from paul_plugin.run.trained import open_trained
weights, model, target = sys.argv[1:]
module.SECONDS = 0
trained = open_trained(weights, 96, 48)._replace(model=torch.load(model, weights_only=False))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
command.call(lambda: export(trained, target))
"""


def canned(size=0):
    """What torch's exporter gives, of opset 18 and so many bytes, in no time."""
    weights = [helper.make_tensor('weights', onnx.TensorProto.UINT8, [size], bytes(size), raw=True)]
    graph = helper.make_graph([], 'canned', [], [], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)])
    return lambda *_, **__: SimpleNamespace(model_proto=model)


def test_a_full_disk(trained, tmp_path, monkeypatch):
    """A limit on the size of files stands for it; torch's own writer in a process of its own, which torch may end."""
    target = tmp_path / 'new/model.torchscript'
    torch.save(trained.model, tmp_path / 'model')
    process = Fork(FULL_DISK, trained.path, tmp_path / 'model', target)
    assert process.communicate()[1] == f'error: cannot write {target}: File too large\n'
    assert process.poll() == 2
    assert list(target.parent.iterdir()) == []
    monkeypatch.setattr(torch.onnx, 'export', canned(size=200_000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(UserError, match='^cannot write .*new/model.onnx: File too large$'):
            export(trained, tmp_path / 'new/model.onnx')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(target.parent.iterdir()) == []


def test_an_opset_that_cannot_be_had(trained, tmp_path, monkeypatch):
    most = onnx.defs.onnx_opset_version()
    for name, opset, message in (
        ('a.onnx', 17, 'opset 17: must be at least 18, the least that the exporter writes'),
        ('a.onnx', most + 1, f'opset {most + 1}: must be at most {most}, the newest that the installed onnx knows'),
        ('a.pt2', 18, r'opset 18: .*a.pt2 has none: leave it out, or name a file that ends in .onnx'),
    ):
        with pytest.raises(UserError, match=f'^--{message}$'):
            export(trained, tmp_path / name, opset=opset)
    monkeypatch.setattr(torch.onnx, 'export', canned())
    with pytest.raises(UserError, match='^--opset 21: the installed exporter gives 18 for this network: name that'):
        export(trained, tmp_path / 'a.onnx', opset=21)
    assert list(tmp_path.iterdir()) == []


def test_onnx_in_half_precision(trained, tmp_path):
    """With fewer numbers, and of the opset that was asked for: names, types, the batch's name, and what it gives."""
    reduced = reduce_dimension(trained, 8)
    target = export(reduced, tmp_path / 'model.onnx', half=True, opset=18).path
    model = onnx.load(target)
    assert [(part.domain, part.version) for part in model.opset_import] == [('', 18)]
    assert operators(target) - PLAIN == {'Cast'}
    onnx.checker.check_model(model, full_check=True)
    (images,), (descriptors,) = model.graph.input, model.graph.output
    for value, name, shape in ((images, 'images', ['batch', 3, 96, 48]), (descriptors, 'descriptors', ['batch', 8])):
        assert value.name == name
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        assert [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim] == shape
    filters = [part for part in model.graph.initializer if len(part.dims) == 4 and 'pool.' not in part.name]
    assert {tensor.data_type for tensor in filters} == {onnx.TensorProto.FLOAT16}
    run, _ = run_onnx(target)
    images = torch.randn(3, 3, 96, 48)
    with torch.no_grad():
        expected = reduced.model(images)
    torch.testing.assert_close(run(images).norm(dim=1), torch.ones(3))
    assert nn.functional.cosine_similarity(run(images), expected).min() >= THRESHOLD


def test_norm_in_half_precision():
    """It is BatchNorm, also where float16 cannot hold its variance."""
    norm = nn.BatchNorm2d(3).eval()
    norm.running_var.copy_(torch.tensor([1e-6, 1.0, 1e6]))
    norm.running_mean.uniform_()
    norm.weight.data.uniform_()
    x = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(FloatNorm(norm)(x), norm(x))
    assert FloatNorm(norm)(x.half()).dtype == torch.float16


@pytest.mark.parametrize('patch_source', ['pgn', 'stripe'])
def test_half_keeps_the_model(patch_source):
    from torchreid import models

    model = models.build_model('paul_resnet18', pretrained=False, loss='paul', dim=8, patch_source=patch_source).eval()
    images = torch.randn(1, 3, 96, 48)
    with torch.no_grad():
        before, half, after = model(images), HalfPatchNet(model)(images), model(images)
    assert before.equal(after)
    assert half.dtype == torch.float32
    assert not half.equal(before)
    assert nn.functional.cosine_similarity(half, before) >= THRESHOLD


def test_a_file_that_is_not_the_model_is_refused(trained, tmp_path):
    target = tmp_path / 'model.torchscript'
    target.write_text('what was there')
    wrong = trained._replace(model=DecidesInPython(trained.model))
    with pytest.raises(UserError, match=r'^no file was written to .*: its descriptors are not those of torch'):
        export(wrong, target, force=True)
    assert target.read_text() == 'what was there'
    assert list(tmp_path.iterdir()) == [target]


def test_metadata_that_are_not_read_back_are_refused(trained, tmp_path, monkeypatch):
    form = FORMATS['.torchscript']
    spoiled = form._replace(read=lambda path: (form.read(path)[0], '{}'))
    monkeypatch.setitem(FORMATS, '.torchscript', spoiled)
    with pytest.raises(UserError, match='its metadata are not read back as they were written$'):
        export(trained, tmp_path / 'model.torchscript')
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_a_format_cannot_hold_is_refused_in_one_line(trained, tmp_path):
    wrong = trained._replace(model=DecidesInPython(trained.model))
    with pytest.raises(UserError) as refused:
        export(wrong, tmp_path / 'model.pt2')
    assert len(str(refused.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_refuses_before_any_work(trained, tmp_path, monkeypatch):
    for name in ('model.onnx', 'a.torchscript.metadata.json'):
        (tmp_path / name).touch()
    for name, message in (
        ('model.pth', 'must end in one of .onnx, .pt2, .torchscript, which names the format, or in .safetensors'),
        ('model.pt', 'TorchScript ends in .torchscript here, as trackers take .pt for weights: name it model.torchsc'),
        ('model.onnx', 'exists: give another name, or --force'),
        ('a.torchscript', 'a.torchscript.metadata.json exists: give another name, or --force'),
    ):
        with pytest.raises(UserError, match=message):
            export(trained, tmp_path / name)
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    with pytest.raises(UserError, match='the package onnxscript is not there: pip install onnxscript$'):
        export(trained, tmp_path / 'a.onnx')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.torchscript.metadata.json', 'model.onnx']
