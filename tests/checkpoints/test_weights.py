"""Weight files: three kinds that are read, and foreign, damaged or hostile ones that are refused."""

import numpy as np
import pytest
import torch
import torchreid
from helpers.bad_weights import bad_files, build
from helpers.reference_numbers import release_shapes
from torch.nn import functional as F

from paul_plugin import load_weights
from paul_plugin.checkpoints.head import directions, head_of
from paul_plugin.checkpoints.weights import load_host_weights
from paul_plugin.checkpoints.weights_file import WeightsFile, state_of, to_release
from paul_plugin.runtime.errors import UserError


@pytest.fixture(scope='module')
def released():
    """Random weights under the release's names: a DataParallel state dict."""
    return {
        name: torch.zeros(shape, dtype=torch.int64) if name.endswith('tracked') else torch.rand(shape)
        for name, shape in release_shapes().items()
    }


@pytest.fixture(scope='module')
def release_file(released, tmp_path_factory):
    """A file as the release saved it."""
    path = tmp_path_factory.mktemp('release') / 'checkpoint.pth'
    torch.save({'state_dict': released, 'epoch': 60, 'acc': np.float64(0.5)}, path)
    return path


def test_release(release_file, released):
    model = build('paul', dim=256, num_classes=11)
    result = load_weights(model, release_file)
    assert result.kind == 'release'
    assert len(result.loaded) == 395
    assert result.left == result.missing == []
    back = to_release(model.state_dict())
    assert back.keys() == released.keys()
    assert all(back[key].equal(value) for key, value in released.items())


def test_classifier_of_another_size_is_left_by_name(release_file):
    result = load_weights(build('paul', dim=256, num_classes=5), release_file)
    assert sorted(result.left) == sorted(f'classifier.{m}.{part}' for m in range(6) for part in ('weight', 'bias'))
    assert sorted(result.missing) == sorted(result.left)


def test_own_checkpoint(make_engine, tmp_path):
    engine = make_engine()
    engine.save_model(0, np.float64(0.5), str(tmp_path))
    model = build()
    result = load_weights(model, tmp_path / 'model' / 'model.pth.tar-1')
    assert (result.kind, result.left, result.missing) == ('paul', [], [])
    assert all(a.equal(b) for a, b in zip(model.state_dict().values(), engine.model.state_dict().values(), strict=True))


def test_torchreid_checkpoint_fits_the_backbone(tmp_path):
    """torchreid's own checkpoint of its own model, with the NumPy scalar that torch.load refuses."""
    source = torchreid.models.build_model('osnet_x0_25', 7, pretrained=False)
    torchreid.utils.save_checkpoint(
        {'state_dict': source.state_dict(), 'epoch': 3, 'rank1': np.float64(0.5)}, str(tmp_path)
    )
    model = build()
    result = load_weights(model, tmp_path / 'model.pth.tar-3')
    assert result.kind == 'torchreid'
    assert all(key.startswith('backbone.') for key in result.loaded)
    assert model.backbone.conv1.conv.weight.equal(source.conv1.conv.weight)
    assert 'backbone.classifier.weight' in result.left
    wanted = build()
    wanted.backbone.load_state_dict(model.backbone.state_dict())
    wanted.keep_distances(directions(head_of(state_of(source.state_dict(), '')[1]), wanted.dim))
    assert all(value.equal(wanted.state_dict()[key]) for key, value in model.state_dict().items() if 'branches' in key)


@pytest.mark.parametrize(('name', 'prefix'), [('osnet_x0_25', 'module.'), ('resnet18', ''), ('mobilenetv2_x1_0', '')])
def test_a_bare_re_id_file_ranks_as_its_model_does(name, prefix, tmp_path):
    """As trackers ship it: a state dict alone, of one or of several GPUs."""
    source = torchreid.models.build_model(name, 7, pretrained=False).eval()
    torch.save({prefix + key: value for key, value in source.state_dict().items()}, tmp_path / 'weights.pt')
    model = build(f'paul_{name}', num_patches=1, dim=2048).eval()
    assert load_weights(model, tmp_path / 'weights.pt').kind == 'torchreid'
    images = torch.randn(4, 3, 96, 48)
    with torch.no_grad():
        found = model(images)
        pooled = model.backbone.featuremaps(images).mean((2, 3))
        if source.fc is not None:
            pooled = source.fc[:2](pooled)  # without its ReLU
        pooled = F.normalize(pooled)
    # One patch is the whole map, so its cosines are those that torchreid's model has before its ReLU.
    torch.testing.assert_close(found @ found.T, pooled @ pooled.T, rtol=0, atol=1e-4)


def test_bad_files_are_refused_in_one_line_and_change_nothing(tmp_path):
    model = build()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for name, (content, words) in bad_files(tmp_path).items():
        path = tmp_path / 'bad.pth'
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        with pytest.raises(UserError, match=words) as error:
            load_weights(model, path)
        assert '\n' not in str(error.value), name
        assert str(path) in str(error.value), name
        assert not (tmp_path / 'executed').exists(), name
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ('state', 'words'),
    [
        (
            {'config': 'data:\n  name: x\nmodel:\n  deploy: false\n  name: resnet50\n  pretrained: true\n'},
            'of another model, resnet50: set model.name resnet50, or name another file',
        ),
        ({'config': 'model:\n  name: "a\x1b[2J"\n'}, r"""of another model, '"a\x1b[2J"': set model.name"""),
        ({'config': 'model: {}\ntrain:\n  name: resnet50\n'}, 'of another model, its first layers are conv1.conv, '),
        ({'config': 3}, 'of another model, its first layers are conv1.conv, '),
        ({}, 'its first layers are conv1.conv, conv1.bn, conv2.0.conv.0: set model.name to that model, or name'),
    ],
)
def test_weights_of_another_model_are_named(state, words, tmp_path):
    """In ours and in torchreid's own."""
    layers = ('conv1.conv.weight', 'conv1.bn.weight', 'conv1.bn.bias', 'conv2.0.conv.0.weight', 'fc.weight')
    path = tmp_path / 'weights.pth'
    torch.save({'state_dict': {name: torch.zeros(3) for name in layers}, **state}, path)
    own = torchreid.models.build_model('resnet18', 3, pretrained=False)
    for load, model in ((load_weights, build('paul_resnet18')), (load_host_weights, own)):
        with pytest.raises(UserError) as error:
            load(model, WeightsFile(path))
        assert words in str(error.value)
        assert str(error.value).isprintable()
