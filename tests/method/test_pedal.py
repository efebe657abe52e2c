"""PEDAL against its formula in loops and against the reference numbers."""

import math

import pytest
import torch
from helpers.by_loops import pedal_by_loops
from helpers.reference_numbers import cases
from torch.nn import functional as F

from paul_plugin import PEDALLoss
from paul_plugin.method.memory import Bank


def make_case(batch=5, patches=3, images=37, dim=8):
    features = F.normalize(torch.randn(batch, patches, dim, dtype=torch.float64), dim=2).requires_grad_()
    bank = F.normalize(torch.randn(patches, images, dim, dtype=torch.float64), dim=2)
    rows = torch.randperm(images)[:batch]
    return features, bank, rows


def recall_by_loops(features, bank, rows, old, filled, k):
    """The share of patches with fewer than k other rows nearer than the own old one."""
    recalled = 0
    for i, row in enumerate(rows.tolist()):
        for m in range(features.shape[1]):
            own = ((old[i, m] - features[i, m]) ** 2).sum()
            others = [j for j in range(bank.shape[1]) if j != row and filled[j]]
            recalled += sum(((bank[m, j] - features[i, m]) ** 2).sum() < own for j in others) < k
    return float(recalled) / (features.shape[0] * features.shape[1])


@pytest.mark.parametrize('case', cases('pedal.npz', 'case'), ids=['case0', 'case1', 'case2'])
@pytest.mark.parametrize('block_rows', [7, 64, 4096])
def test_reference(case, block_rows):
    features = case['features'].transpose(0, 1).clone().requires_grad_()  # the reference is patch first
    # the reference's scale multiplies the squared distance: s/2
    loss = PEDALLoss(int(case['k']), 2 * float(case['scale']), block_rows)(features, case['bank'], case['rows'])
    loss.backward()
    torch.testing.assert_close(loss.detach(), case['loss'], rtol=0, atol=1e-9)
    torch.testing.assert_close(features.grad, case['grad'].transpose(0, 1), rtol=0, atol=1e-9)


@pytest.mark.parametrize('scale', [0.5, 10.0, 200.0])
@pytest.mark.parametrize('block_rows', [1, 5, 1000])
@pytest.mark.parametrize('share_filled', [1.0, 0.6])
def test_formula(scale, block_rows, share_filled):
    features, bank, rows = make_case()
    filled = torch.rand(bank.shape[1]) < share_filled
    bank[:, ~filled] = 0
    loss = PEDALLoss(4, scale, block_rows)(features, Bank(bank, filled), rows)
    expected = pedal_by_loops(features, bank, rows, 4, scale, filled)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)
    (grad,) = torch.autograd.grad(3 * loss, features)
    (expected_grad,) = torch.autograd.grad(3 * expected, features)
    torch.testing.assert_close(grad, expected_grad, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize('block_rows', [1, 5, 1000])
@pytest.mark.parametrize('share_filled', [1.0, 0.6])
@pytest.mark.parametrize('noise', [0.2, 0.3, 0.5])
def test_recall(block_rows, share_filled, noise):
    """The loss and its gradient stay as they are, to the bit."""
    features, bank, rows = make_case(batch=12)
    filled = torch.rand(bank.shape[1]) < share_filled
    old = features.detach() + noise * torch.randn(features.shape, dtype=torch.float64)
    pedal = PEDALLoss(4, 10.0, block_rows)
    loss, recall = pedal.loss_and_recall(features, Bank(bank, filled), rows, old)
    expected = recall_by_loops(features, bank, rows, old, filled, 4)
    assert 0 < expected < 1
    assert recall.item() == pytest.approx(expected, abs=1e-6)
    assert not recall.requires_grad
    alone = pedal(features, Bank(bank, filled), rows)
    assert loss.equal(alone)
    grads = [torch.autograd.grad(each, features)[0] for each in (loss, alone)]
    assert grads[0].equal(grads[1])


def test_recall_of_tied_rows():
    """As far as the own one is not nearer; the own row as it is now does not count, wherever it has moved."""
    corners = torch.eye(4).expand(1, -1, -1)
    features = torch.full((1, 1, 4), 0.5)
    old = corners[:, :1].transpose(0, 1)
    recall_of = PEDALLoss(1, 8.0).loss_and_recall
    assert recall_of(features, corners, torch.tensor([0]), old)[1] == 1
    bank = corners.clone()
    bank[:, 3] = 0.5  # now one row is nearer
    assert recall_of(features, bank, torch.tensor([0]), old)[1] == 0
    assert recall_of(features, bank, torch.tensor([3]), old)[1] == 1
    assert PEDALLoss(2, 8.0).loss_and_recall(features, bank, torch.tensor([0]), old)[1] == 1


def test_recall_in_half_precision():
    features, bank, rows = make_case(batch=12)
    old = features.detach() + 0.5 * torch.randn(features.shape, dtype=torch.float64)
    features, bank, old = (tensor.detach().bfloat16() for tensor in (features, bank, old))
    filled = torch.ones(bank.shape[1], dtype=torch.bool)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        recall = PEDALLoss(4, 10.0).loss_and_recall(features, bank, rows, old)[1]
    expected = recall_by_loops(features.double(), bank.double(), rows, old.double(), filled, 4)
    assert recall.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize('filled_rows', [[], [0], [0, 1], [0, 1, 2]])
def test_fewer_filled_rows_than_k(filled_rows):
    """No other row: no loss. At most k: all of them are neighbours, and the loss is 0 again."""
    features, bank, _ = make_case(batch=2)
    filled = torch.zeros(bank.shape[1], dtype=torch.bool)
    filled[filled_rows] = True
    loss = PEDALLoss(4, 10.0)(features, Bank(bank, filled), torch.tensor([0, 1]))
    (grad,) = torch.autograd.grad(loss, features)
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert grad.abs().max() < 1e-12


@pytest.mark.parametrize('scale', [1e-6, 1e4, 1e8])
def test_stable_at_any_scale(scale):
    features, bank, rows = make_case()
    features = features.float().detach().requires_grad_()
    loss = PEDALLoss(4, scale)(features, bank.float(), rows)
    loss.backward()
    assert math.isfinite(loss.item())
    assert loss.item() >= -1e-5
    assert features.grad.isfinite().all()


def test_half_precision_features_are_computed_in_float32():
    features, bank, rows = make_case()
    loss = PEDALLoss(4, 10.0)(features.bfloat16(), bank.bfloat16(), rows)
    expected = PEDALLoss(4, 10.0)(features.bfloat16().double(), bank.bfloat16().double(), rows)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        torch.testing.assert_close(PEDALLoss(4, 10.0)(features.bfloat16(), bank.bfloat16(), rows), loss)
