"""IPFL against its formula in loops."""

import pytest
import torch

from paul_plugin import IPFLLoss


def brute_force(anchors, positives, negatives, valid, margin):
    terms = []
    for a, p, n, v in zip(anchors, positives, negatives, valid, strict=True):
        if v:
            terms.append(torch.clamp(margin + (a - p).pow(2).sum().sqrt() - (a - n).pow(2).sum().sqrt(), min=0))
    return torch.stack(terms).mean() if terms else anchors.sum() * 0


@pytest.mark.parametrize('valid', [[True] * 6, [True, False, True, False, False, True], [False] * 6])
@pytest.mark.parametrize('margin', [0.0, 0.5, 2.0])
def test_formula(valid, margin):
    inputs = [torch.randn(6, 5, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    valid = torch.tensor(valid)
    loss = IPFLLoss(margin)(*inputs, valid=valid)
    expected = brute_force(*inputs, valid, margin)
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


def test_refuses_margin():
    with pytest.raises(ValueError, match='margin must be at least 0, got -1'):
        IPFLLoss(-1)
