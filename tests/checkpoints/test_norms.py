"""Norms whose statistics are measured: the function stays, and training starts from it."""

import pytest
import torch
from helpers.onnx_files import build
from torch import nn

from paul_plugin.checkpoints.norms import measure_norms

IMAGES = torch.randn(12, 3, 64, 32, generator=torch.Generator().manual_seed(4))


def norms_of(net):
    return {name: layer for name, layer in net.named_modules() if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))}


def outputs_of(net, training):
    """What each norm gives, in eval mode or in training, for one batch."""
    found = {}
    hooks = [
        layer.register_forward_hook(lambda _, inputs, output, name=name: found.update({name: output.clone()}))
        for name, layer in norms_of(net).items()
    ]
    with torch.no_grad():
        net.train(training)(IMAGES)
    for hook in hooks:
        hook.remove()
    return found


@pytest.fixture
def net():
    return build('osnet_x0_25')


def test_the_function_stays(net):
    with torch.no_grad():
        before = net(IMAGES)
        names = measure_norms(net, IMAGES.split(5))
        after = net(IMAGES)
    assert names == list(norms_of(net))
    assert not net.training
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5 * float(before.abs().max()))


def test_statistics_are_those_of_all_images(net):
    first = IMAGES.double()
    measure_norms(net, [IMAGES[:1], IMAGES[1:8], IMAGES[8:]])
    maps = nn.functional.conv2d(first, net.conv1.conv.weight.double(), stride=2, padding=3)
    torch.testing.assert_close(net.conv1.bn.running_mean.double(), maps.mean((0, 2, 3)), rtol=1e-6, atol=1e-6)
    var = maps.var((0, 2, 3), correction=0)
    torch.testing.assert_close(net.conv1.bn.running_var.double(), var, rtol=1e-6, atol=1e-6)


def test_training_starts_from_the_same_function(net):
    """With the very images of the measurement as the batch."""
    apart = outputs_of(net, training=False)['conv5.bn'] - outputs_of(build('osnet_x0_25'), training=True)['conv5.bn']
    measure_norms(net, [IMAGES])
    evaluated, trained = outputs_of(net, training=False), outputs_of(net, training=True)
    for name in evaluated:
        scale = float(evaluated[name].abs().max())
        torch.testing.assert_close(trained[name], evaluated[name], rtol=1e-4, atol=1e-4 * scale, msg=name)
    assert apart.abs().max() > 0.1  # what it would be without


def test_a_channel_that_is_always_the_same(net):
    """As one that a ReLU has silenced: it has no variance, and its weight is finite."""
    net.conv1.conv.weight.data[3] = 0
    with torch.no_grad():
        before = net(IMAGES)
    measure_norms(net, [IMAGES])
    assert net.conv1.bn.running_var[3] == 0
    with torch.no_grad():
        torch.testing.assert_close(net(IMAGES), before, rtol=1e-4, atol=1e-5)


def test_only_the_named_ones_and_modes_stay(net):
    others = {name: layer.running_var.clone() for name, layer in norms_of(net).items() if name != 'conv1.bn'}
    net.train()
    net.conv2.eval()
    assert measure_norms(net, [IMAGES], ['conv1.bn', 'no.such']) == ['conv1.bn']
    assert all(torch.equal(layer.running_var, others[name]) for name, layer in norms_of(net).items() if name in others)
    assert net.training
    assert net.conv3.training
    assert not net.conv2.training
    assert not net.conv2[0].training


def test_no_images(net):
    with pytest.raises(ValueError, match='no images'):
        measure_norms(net, [])
    assert not [hooks for layer in net.modules() if (hooks := layer._forward_pre_hooks)]


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_variance_beside_a_large_mean(layout):
    """As the first layers of a network see them: half a million values a channel, far from 0."""
    layer = torch.nn.BatchNorm2d(3)
    images = (100 + torch.randn(16, 3, 128, 128, generator=torch.manual_seed(0))).to(memory_format=layout)
    measure_norms(torch.nn.Sequential(layer), [images[:4], images[4:5], images[5:]])
    wide = images.double()
    torch.testing.assert_close(layer.running_mean.double(), wide.mean((0, 2, 3)), rtol=1e-7, atol=0)
    torch.testing.assert_close(layer.running_var.double(), wide.var((0, 2, 3), correction=0), rtol=1e-6, atol=0)
