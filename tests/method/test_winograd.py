"""The frozen convolution against torch's own."""

import pytest
import torch
import torchreid
from torch.nn import functional as F

from paul_plugin.method.patch_generation import PatchGenerationNetwork
from paul_plugin.method.winograd import frozen_conv3x3, transform_weights


@pytest.mark.parametrize('size', [(24, 8), (6, 3), (3, 3), (7, 4), (5, 9)])
def test_equals_conv2d(size):
    x = torch.randn(2, 5, *size, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(7, 5, 3, 3, dtype=torch.float64)
    bias = torch.randn(7, dtype=torch.float64)
    ours = frozen_conv3x3(x, transform_weights(weight, torch.float64), bias)
    expected = F.conv2d(x, weight, bias)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)
    direction = torch.randn_like(expected)
    (grad,) = torch.autograd.grad(ours, x, direction)
    (expected_grad,) = torch.autograd.grad(expected, x, direction)
    torch.testing.assert_close(grad, expected_grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_lower_precision(dtype, tolerance):
    x, weight, bias = torch.randn(2, 64, 12, 6), torch.randn(32, 64, 3, 3) / 24, torch.randn(32)
    expected = F.conv2d(x.to(dtype).double(), weight.double(), bias.double())
    ours = frozen_conv3x3(x.to(dtype), transform_weights(weight, dtype), bias)
    assert ours.dtype == dtype
    assert (ours.double() - expected).abs().max() < tolerance * expected.abs().max()


def test_the_pgn_takes_it_when_frozen_and_only_then(monkeypatch):
    used = []
    monkeypatch.setattr(
        'paul_plugin.method.winograd.frozen_conv3x3', lambda *args: used.append(1) or frozen_conv3x3(*args)
    )
    pgn = PatchGenerationNetwork(512, 6).double()
    torch.nn.init.normal_(pgn.regression[2].weight, std=0.1)
    maps = torch.randn(3, 512, 8, 4, dtype=torch.float64, requires_grad=True)
    trained = pgn(maps)
    (trained_grad,) = torch.autograd.grad(trained.square().sum(), maps)
    assert not used
    pgn.requires_grad_(False)
    frozen = pgn(maps)
    (frozen_grad,) = torch.autograd.grad(frozen.square().sum(), maps)
    assert used == [1]
    torch.testing.assert_close(frozen, trained, rtol=0, atol=1e-10)
    torch.testing.assert_close(frozen_grad, trained_grad, rtol=0, atol=1e-10)

    state = {key: value + 0.01 for key, value in pgn.state_dict().items()}
    pgn.load_state_dict(state)  # other weights: nothing old may be left
    frozen = pgn(maps)
    pgn.load_state_dict(state)
    pgn.requires_grad_(True)
    torch.testing.assert_close(frozen, pgn(maps), rtol=0, atol=1e-10)
    assert pgn.state_dict().keys() == PatchGenerationNetwork(512, 6).state_dict().keys()


def test_statistics_follow_alike():
    model = torchreid.models.build_model('paul_resnet18', loss='paul', pretrained=False)
    other = torchreid.models.build_model('paul_resnet18', loss='paul', pretrained=False)
    other.load_state_dict(model.state_dict())
    other.pgn.requires_grad_(False)
    images = torch.randn(4, 3, 96, 48)
    torch.testing.assert_close(model(images), other(images), rtol=1e-4, atol=1e-5)
    for name in ('running_mean', 'running_var'):
        ours, theirs = (getattr(net.pgn.localization[1], name) for net in (other, model))
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
