"""Exported graphs: plain operators, the training's numbers, a fixed batch, images from 0 to 1, old files."""

import json

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers.models import small_patchnet
from helpers.onnx_files import PLAIN, operators
from torch.nn import functional as F

from paul_plugin.deploy.export import export, metadata_of, plain, portable, sample_images
from paul_plugin.deploy.formats import FORMATS
from paul_plugin.method.unit import unit_length


@pytest.fixture(scope='module')
def trained(make_trained):
    return make_trained()._replace(model=small_patchnet())


@pytest.fixture(scope='module')
def fixed(trained, tmp_path_factory):
    """An export for a tracker: one image, from 0 to 1."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('paul_plugin.deploy.export.SECONDS', 0)
        return export(trained, tmp_path_factory.mktemp('fixed') / 'model.onnx', batch=1, unit_input=True)


@pytest.fixture
def unit_images():
    return torch.rand(4, 3, 96, 48)


@pytest.fixture
def expected(trained, unit_images):
    """Of the same images, normalised outside; the length is 1, as of all that leaves."""
    data = trained.cfg.data
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (data.norm_mean, data.norm_std))
    with torch.no_grad():
        return unit_length(trained.model((unit_images - mean) / std))


@pytest.mark.parametrize('patch_source', ['pgn', 'stripe', 'random'])
@torch.no_grad()
def test_the_same_numbers(patch_source):
    model = small_patchnet(patch_source)
    images = torch.randn(3, 3, 96, 48)
    if patch_source == 'pgn':
        theta = model.pgn(model.backbone.featuremaps(images))
        assert theta.std(0).mean() > 0.03
        assert theta[..., 2].abs().max() > 1
    torch.testing.assert_close(plain(portable(model), images)(images), unit_length(model(images)), atol=1e-6, rtol=0)


def test_operators_of_a_fixed_batch(fixed):
    assert operators(fixed.path) - PLAIN == set()


def test_a_fixed_batch(fixed, trained):
    model = onnx.load(fixed.path)
    for value, shape in ((model.graph.input[0], [1, 3, 96, 48]), (model.graph.output[0], [1, 96])):
        assert [dim.dim_value for dim in value.type.tensor_type.shape.dim] == shape
    assert fixed.metadata['batch'] == 1


def test_images_from_0_to_1(fixed, trained, unit_images, expected):
    session = onnxruntime.InferenceSession(str(fixed.path))
    found = [session.run(None, {'images': image[None].numpy()})[0][0] for image in unit_images]
    np.testing.assert_allclose(np.stack(found), expected, atol=1e-6, rtol=0)
    assert (fixed.metadata['mean'], fixed.metadata['std']) == ([0, 0, 0], [1, 1, 1])
    assert 'minus mean' not in fixed.metadata['input']
    assert 'minus mean' in metadata_of(trained)['input']


def test_opencv_reads_it(fixed, unit_images, expected):
    network = cv2.dnn.readNetFromONNX(str(fixed.path))
    for image, ours in zip(unit_images, expected, strict=True):
        network.setInput(image[None].numpy())
        found = network.forward()
        assert found.shape == (1, 96)
        assert F.cosine_similarity(torch.from_numpy(found[0]), ours, dim=0) > 0.99999


def test_the_metadata_shadow_nothing_of_a_tracker(fixed):
    """ultralytics makes each key of an ONNX file an attribute of its own, over what `metadata` was."""
    (entry,) = onnx.load(fixed.path).metadata_props
    assert entry.key == 'paul'
    assert json.loads(entry.value) == fixed.metadata


def test_metadata_of_old_files_are_read(trained, fixed, tmp_path):
    network, images = portable(trained.model), sample_images(trained)[:2]
    program = torch.export.export(network, (images,))
    torch.export.save(program, tmp_path / 'old.pt2', extra_files={'metadata': 'old'})
    traced = torch.jit.trace(network, images)
    torch.jit.save(traced, tmp_path / 'old.torchscript', _extra_files={'metadata': 'old'})
    model = onnx.load(fixed.path)
    model.metadata_props[0].key, model.metadata_props[0].value = 'metadata', 'old'
    onnx.save(model, tmp_path / 'old.onnx')
    assert [FORMATS[suffix].read(tmp_path / f'old{suffix}')[1] for suffix in FORMATS] == ['old'] * 3


def test_boxmot_is_told_the_size(trained, tmp_path, monkeypatch):
    """By the file that its TorchScript backend reads, in its words."""
    monkeypatch.setattr('paul_plugin.deploy.export.SECONDS', 0)
    done = export(trained, tmp_path / 'model.torchscript')
    beside = json.loads((tmp_path / 'model.torchscript.metadata.json').read_text())
    assert beside['model_kwargs'] == {'img_size': [96, 48]}
    assert done.path.exists()
