"""IPFL against its formula in loops."""

import pytest
import torch
from helpers.by_loops import ipfl_by_loops
from helpers.reference_numbers import cases

from paul_plugin import CyclicRankingMiner, IPFLLoss


@pytest.mark.parametrize('valid', [[True] * 6, [True, False, True, False, False, True], [False] * 6])
@pytest.mark.parametrize('margin', [0.0, 0.5, 2.0])
def test_formula(valid, margin):
    inputs = [torch.randn(6, 5, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    valid = torch.tensor(valid)
    loss = IPFLLoss(margin)(*inputs, valid=valid)
    expected = ipfl_by_loops(*inputs, valid, margin)
    torch.testing.assert_close(loss, expected)
    for grad, expected_grad in zip(
        torch.autograd.grad(loss, inputs), torch.autograd.grad(expected, inputs, materialize_grads=True), strict=True
    ):
        torch.testing.assert_close(grad, expected_grad)


def test_all_anchors_without_valid():
    inputs = [torch.randn(6, 5) for _ in range(3)]
    torch.testing.assert_close(IPFLLoss()(*inputs), IPFLLoss()(*inputs, valid=torch.ones(6, dtype=torch.bool)))


def test_equal_anchor_and_positive_have_a_finite_gradient():
    anchors = torch.randn(3, 4, requires_grad=True)
    IPFLLoss()(anchors, anchors.detach().clone(), torch.randn(3, 4)).backward()
    assert anchors.grad.isfinite().all()


@pytest.mark.parametrize('case', cases('ipfl_released.npz', 'case'), ids=['case0', 'case1', 'case2'])
def test_released_variant_reference(case):
    """All rows are anchors against centroids; the release's r counts the candidate itself, ours does not."""
    features = case['features'].clone().requires_grad_()
    centroids = case['centroids']
    owners = torch.arange(len(features)) // 2
    miner = CyclicRankingMiner(int(case['r']) - 1, int(case['max_candidates']))
    negatives = miner(features, centroids, owners)
    loss = IPFLLoss(float(case['margin']), count_unmined=True)(
        features, centroids[owners], centroids[negatives.clamp(min=0)], valid=negatives >= 0
    )
    loss.backward()
    torch.testing.assert_close(loss.detach(), case['loss'], rtol=0, atol=1e-9)
    torch.testing.assert_close(features.grad, case['grad'], rtol=0, atol=1e-9)


def test_an_anchor_without_negative_counts_or_not():
    anchors, positives = torch.zeros(2, 3), torch.tensor([[3.0, 0, 4], [0, 0, 1]])
    valid = torch.tensor([False, True])
    far = torch.full((2, 3), 100.0)
    assert IPFLLoss(2.0)(anchors, positives, far, valid) == 0
    assert IPFLLoss(2.0, count_unmined=True)(anchors, positives, far, valid) == (2 + 5) / 2
