"""Patch pooling against torch's own sampling."""

import pytest
import torch
from torch.nn import functional as F

from paul_plugin import pool_patches
from paul_plugin.method.patch_generation import random_boxes, stripes


def sampled(features, theta):
    """Six sampled feature maps, each averaged: the definition."""
    patches = []
    for m in range(theta.shape[1]):
        grid = F.affine_grid(theta[:, m], list(features.shape), align_corners=True)
        sample = F.grid_sample(features, grid, mode='bilinear', padding_mode='zeros', align_corners=True)
        patches.append(sample.mean((2, 3)))
    return torch.stack(patches, 1)


THETAS = {
    'stripes': stripes(6),
    'random boxes': random_boxes(4),
    'rotated': torch.tensor([[[0.5, -0.4, 0.1], [0.3, 0.6, -0.2]]]),
    'partly outside': torch.tensor([[[1.7, 0.2, 0.4], [0.1, 1.5, -0.8]]]),
    'wholly outside': torch.tensor([[[0.3, 0.0, 4.0], [0.0, 0.3, 0.0]]]),
    'mirrored': torch.tensor([[[-1.0, 0.0, 0.0], [0.0, -0.5, 0.2]]]),
    'a point': torch.zeros(1, 2, 3),
}


@pytest.mark.parametrize('name', THETAS)
@pytest.mark.parametrize('size', [(24, 8), (6, 3), (1, 1), (5, 1)])
def test_equals_sampling(name, size):
    features = torch.randn(3, 7, *size, dtype=torch.float64, requires_grad=True)
    theta = THETAS[name].double().repeat(3, 1, 1, 1)
    if name not in ('stripes', 'mirrored', 'a point'):  # there the grid lies on pixel centres, where only these fit
        theta = theta + 0.05 * torch.randn_like(theta)
    theta.requires_grad_()
    pooled, expected = pool_patches(features, theta), sampled(features, theta)
    torch.testing.assert_close(pooled, expected, rtol=0, atol=1e-12)
    weight = torch.randn_like(pooled)
    for grad, expected_grad in zip(
        torch.autograd.grad(pooled, (features, theta), weight),
        torch.autograd.grad(expected, (features, theta), weight),
        strict=True,
    ):
        torch.testing.assert_close(grad, expected_grad, rtol=0, atol=1e-12)


def test_half_precision_has_exact_weights():
    """The coordinates are computed in float32 whatever the features' precision."""
    features = torch.randn(2, 5, 12, 4).bfloat16()
    theta = torch.randn(2, 3, 2, 3)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        pooled = pool_patches(features, theta)
    assert pooled.dtype == torch.bfloat16
    torch.testing.assert_close(pooled.float(), sampled(features.float(), theta), rtol=2e-2, atol=2e-2)
