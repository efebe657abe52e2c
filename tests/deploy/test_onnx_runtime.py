"""Descriptors of a folder by onnxruntime: equal to torch's, killed and gone on with, and when it is taken."""

import sys

import pytest
import torch
from helpers.models import small_patchnet
from torch import nn

from paul_plugin.config.settings import with_keys
from paul_plugin.deploy import extraction, onnx_runtime
from paul_plugin.deploy.descriptor_file import read_descriptors, read_meta
from paul_plugin.deploy.extraction import extract
from paul_plugin.deploy.fingerprint import check_fingerprint
from paul_plugin.deploy.kept_chunks import Kept
from paul_plugin.deploy.onnx_runtime import at_runtime, with_onnx
from paul_plugin.deploy.pca import reduce_dimension
from paul_plugin.runtime.errors import UserError


@pytest.fixture(scope='module')
def trained(make_trained):
    trained = make_trained()
    cfg = with_keys(trained.cfg, {'folder.camera': r'(\d)\.'})  # the last digit of a name
    return trained._replace(model=small_patchnet(), cfg=cfg)


@pytest.fixture(autouse=True, scope='module')
def exported_once():
    """An export takes seconds: each model's is made once."""
    export, made = onnx_runtime.OnnxModel, {}

    def once(model, images):
        if model not in made:
            made[model] = export(model, images)
        return made[model]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_runtime, 'OnnxModel', once)
        yield


@pytest.fixture
def crops(dozen):
    """And an empty file."""
    (dozen / 'empty0.jpg').touch()
    return dozen


@pytest.mark.parametrize('how', ['plain', 'dim', 'centred'])
def test_the_same_file_to_1e_5(trained, crops, tmp_path, how):
    model = reduce_dimension(trained, 8) if how == 'dim' else trained
    options = {'batch_size': 5, 'chunk': 7, 'centre_cameras': how == 'centred'}
    torch_, onnx = (
        extract(model, crops, tmp_path / f'{name}.npz', runtime=name, **options) for name in ('torch', 'onnx')
    )
    assert (torch_.runtime, onnx.runtime, onnx.count) == ('torch', 'onnx', 12)
    assert onnx.left_out == torch_.left_out
    assert read_meta(onnx.path) == read_meta(torch_.path)
    (paths, expected), (same_paths, found) = map(read_descriptors, (torch_.path, onnx.path))
    assert paths == same_paths
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    if how != 'centred':  # either is compared with the model's other descriptors
        check_fingerprint(onnx.path, model)


def test_what_one_began_the_other_does_not_go_on_with(trained, crops, tmp_path, monkeypatch):
    whole = extract(trained, crops, tmp_path / 'whole.npz', chunk=5, runtime='onnx').path
    target, save = tmp_path / 'a.npz', Kept.save

    def killed(self, file, *args):
        if '000005' in file.name:
            raise KeyboardInterrupt
        save(self, file, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Kept, 'save', killed)
        with pytest.raises(KeyboardInterrupt):
            extract(trained, crops, target, chunk=5, runtime='onnx')
    refused = r'a.npz.parts holds the beginning of another extraction \(other runtime\): delete it, or --force'
    with pytest.raises(UserError, match=refused):
        extract(trained, crops, target, chunk=5, runtime='torch')
    extract(trained, crops, target, chunk=5, runtime='onnx')
    assert target.read_bytes() == whole.read_bytes()


def test_parts_of_a_version_without_the_choice_are_of_torch(tmp_path):
    parts, manifest = tmp_path / 'a.parts', {'model': {}, 'images': '', 'chunk': 5}
    extraction._open_parts(parts, manifest, force=False)
    (parts / f'{0:09d}.npz').touch()
    extraction._open_parts(parts, {**manifest, 'runtime': 'torch'}, force=False)
    with pytest.raises(UserError, match='other runtime'):
        extraction._open_parts(parts, {**manifest, 'runtime': 'onnx'}, force=False)


def test_auto(trained, monkeypatch, capsys):
    """onnx where it is there, on the CPU, and worth it; torch where the export fails, and it says so."""
    monkeypatch.setattr(onnx_runtime, 'WORTH', 10)
    tried = []
    monkeypatch.setattr(onnx_runtime, 'with_onnx', lambda trained: tried.append(trained) or trained)
    assert [at_runtime('auto', trained, count)[0] for count in (9, 10)] == ['torch', 'onnx']
    assert at_runtime('torch', trained, 10) == ('torch', trained)
    assert tried == [trained]
    on_gpu = trained._replace(model=trained.model.__class__.__new__(trained.model.__class__))
    nn.Module.__init__(on_gpu.model)
    on_gpu.model.weight = nn.Parameter(torch.ones(1, device='meta'))
    assert at_runtime('auto', on_gpu, 10) == ('torch', on_gpu)

    def fails(trained):
        raise UserError('--runtime onnx: it cannot: set --runtime torch')

    monkeypatch.setattr(onnx_runtime, 'with_onnx', fails)
    assert at_runtime('auto', trained, 10) == ('torch', trained)
    assert capsys.readouterr().out == '--runtime onnx: it cannot: set --runtime torch, as is done\n'
    monkeypatch.setattr(onnx_runtime.importlib.util, 'find_spec', lambda name: None)
    monkeypatch.setattr(onnx_runtime, 'with_onnx', None)
    assert at_runtime('auto', trained, 10) == ('torch', trained)


def test_refuses(trained, crops, tmp_path, monkeypatch):
    with pytest.raises(UserError, match='--runtime tensorrt: must be one of auto, onnx, torch'):
        extract(trained, crops, tmp_path / 'a.npz', runtime='tensorrt')
    with monkeypatch.context() as patch:
        patch.setattr(onnx_runtime, 'OnnxModel', lambda *_: torch.zeros(1)['as\nexporters fail'])
        with pytest.raises(UserError, match='^--runtime onnx: .*: set --runtime torch$') as error:
            with_onnx(trained)
        assert '\n' not in str(error.value)
    with monkeypatch.context() as patch:
        patch.setattr(onnx_runtime, 'LARGEST_DIFFERENCE', 0)
        with pytest.raises(UserError, match='differ from those of torch by .*, more than 0: set --runtime torch'):
            with_onnx(trained)
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(UserError, match='the package onnxruntime is not there'):
        extract(trained, crops, tmp_path / 'a.npz', runtime='onnx')
    assert not list(tmp_path.glob('a.npz*'))
