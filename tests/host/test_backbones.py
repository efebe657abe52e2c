"""torchreid's models as backbones: which have a feature map, its size, and how a file's layers tell the model."""

import pytest
import torch
import torchreid
from torch import nn

from paul_plugin.host import models
from paul_plugin.registry import BACKBONES

NAMES = models.backbones()


def test_they_are_those_that_have_a_map():
    """All of torchreid's models, of which those that have none are named here."""
    without = {name for name in models.available_models() if not name.startswith('paul')} - set(NAMES)
    kinds = {name.partition('_')[0].rstrip('0123456789') for name in without}
    assert kinds == {
        'densenet', 'hacnn', 'inceptionv', 'mlfn', 'nasnsetmobile', 'resnet50mid', 'shufflenet', 'squeezenet',
    }  # fmt: skip
    assert {f'paul_{name}' for name in NAMES} | {'paul'} == set(BACKBONES) <= set(models.available_models())
    assert BACKBONES['paul'] == BACKBONES['paul_resnet50'] == 'resnet50'


@pytest.mark.parametrize('name', NAMES)
def test_the_map_has_a_sixteenth_of_the_size(name):
    with torch.device('meta'):
        net = models.build_backbone(name, pretrained=False).eval()
        maps = net.featuremaps(torch.zeros(2, 3, 256, 128))
    # InceptionResNetV2 cuts the borders off.
    assert maps.shape == (2, models.feature_channels(net), *((12, 4) if name == 'inceptionresnetv2' else (16, 8)))
    assert models.backbone_of(models.layers_of(name), name) == name


@pytest.mark.parametrize(
    ('name', 'changed'),
    [
        ('osnet_x0_25', []),
        ('resnet18', ['layer4.0.conv1', 'layer4.0.downsample.0']),
        ('resnet50', ['layer4.0.conv2', 'layer4.0.downsample.0']),
        ('mobilenetv2_x1_0', ['conv7.0.dwconv2.conv']),
        ('shufflenet_v2_x0_5', ['stage4.0.branch1.0', 'stage4.0.branch2.3']),
    ],
)
def test_strides_of_the_last_stage_alone_change(name, changed):
    with torch.device('meta'):
        ours = models.build_backbone(name, pretrained=False)
        theirs = torchreid.models.build_model(name, 1, pretrained=False)
    strides = [
        {key: tuple(layer.stride) for key, layer in net.named_modules() if isinstance(layer, nn.Conv2d)}
        for net in (ours, theirs)
    ]
    assert [key for key, stride in strides[0].items() if stride != strides[1][key]] == changed
    assert all(strides[0][key] == (1, 1) for key in changed)


@pytest.mark.parametrize('name', ['osnet_x0_25', 'osnet_ibn_x1_0', 'osnet_x1_0', 'resnet18', 'mobilenetv2_x1_4'])
def test_layers_tell_the_backbone(name):
    """With heads of any size, and without the counters of BatchNorm, which files of 2018 lack."""
    state = torchreid.models.build_model(name, 7, pretrained=False).state_dict()
    layers = {key: tuple(value.shape) for key, value in state.items()}
    assert models.backbone_of(layers) == name
    assert models.backbone_of({key: shape for key, shape in layers.items() if 'num_batches' not in key}) == name
    assert models.backbone_of({**layers, 'more.weight': (1,)}) is None
    first = next(iter(layers))
    assert models.backbone_of({**layers, first: (1, *layers[first][1:])}) is None


def test_a_probing_image_changes_nothing():
    net = models.build_backbone('mobilenetv2_x1_0', pretrained=False)
    before, state = {key: value.clone() for key, value in net.state_dict().items()}, torch.get_rng_state()
    assert models.feature_channels(net) == 1280
    assert all(value.equal(before[key]) for key, value in net.state_dict().items())
    assert net.training
    assert torch.get_rng_state().equal(state)
