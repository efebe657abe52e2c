"""The pre-training's triplet loss against its definition in loops and against the reference numbers."""

import pytest
import torch
from helpers.reference_numbers import cases

from paul_plugin import NearestTripletLoss


@pytest.mark.parametrize('case', cases('pretrain_triplet.npz', 'case'), ids=['case0', 'case1'])
def test_reference(case):
    features = case['features'].clone().requires_grad_()
    loss = NearestTripletLoss(float(case['margin']))(features, case['labels'])
    loss.backward()
    torch.testing.assert_close(loss.detach(), case['loss'], rtol=0, atol=1e-9)
    torch.testing.assert_close(features.grad, case['grad'], rtol=0, atol=1e-9)


def brute_force(features, labels, margin):
    rows = [x / x.norm() for x in features]
    terms = []
    for i, x in enumerate(rows):
        distance = [((x - y).pow(2).sum() + 1e-5).sqrt() for y in rows]
        positives = [distance[j] for j in range(len(rows)) if labels[j] == labels[i] and j != i]
        negatives = [distance[j] for j in range(len(rows)) if labels[j] != labels[i]]
        if positives and negatives:
            terms.append(torch.clamp(margin + min(positives) - min(negatives), min=0))
    return torch.stack(terms).mean() if terms else 0 * features.sum()


@pytest.mark.parametrize('labels', [[0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 2, 2], [0, 1, 2, 3, 4, 5], [0] * 6])
def test_formula(labels):
    features = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    loss = NearestTripletLoss(0.7)(features, torch.tensor(labels))
    expected = brute_force(features, labels, 0.7)
    torch.testing.assert_close(loss, expected)
    (grad,) = torch.autograd.grad(loss, features)
    (expected_grad,) = torch.autograd.grad(expected, features)
    torch.testing.assert_close(grad, expected_grad)
