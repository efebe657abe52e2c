"""PEDAL camera by camera against its formula in loops, and against PEDAL itself."""

import pytest
import torch
from helpers.by_loops import pedal_by_loops
from torch.nn import functional as F

from paul_plugin import PEDALLoss
from paul_plugin.method.camera_pedal import CameraPEDALLoss
from paul_plugin.method.memory import Bank


def make_case(images, batch=6, patches=2, dim=5):
    generator = torch.Generator().manual_seed(images)
    features, bank = (
        F.normalize(torch.randn(*shape, dim, dtype=torch.float64, generator=generator), dim=2)
        for shape in ((batch, patches), (patches, images))
    )
    return features.requires_grad_(), bank, torch.randperm(images, generator=generator)[:batch]


@pytest.mark.parametrize('counts', [[9, 11, 5], [20, 1, 4], [3, 3, 3, 30], [2, 25]])
@pytest.mark.parametrize(('k', 'scale'), [(1, 10.0), (2, 30.0), (4, 0.5)])
@pytest.mark.parametrize('share_filled', [1.0, 0.6])
def test_formula(counts, k, scale, share_filled):
    """Also a camera of one image, and one of fewer filled rows than k."""
    features, bank, rows = make_case(sum(counts))
    filled = torch.rand(sum(counts)) < share_filled
    loss = CameraPEDALLoss(counts, k, scale, block_rows=4)(features, Bank(bank, filled), rows)
    expected = pedal_by_loops(features, bank, rows, k, scale, filled, counts)
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-9)
    grads = [torch.autograd.grad(each, features)[0] for each in (loss, expected)]
    torch.testing.assert_close(*grads, rtol=0, atol=1e-9)


@pytest.mark.parametrize('counts', [[9, 11, 5], [20, 1, 4], [1, 1, 20, 3]])
@pytest.mark.parametrize('share_filled', [1.0, 0.6])
def test_recall_is_that_of_pedal(counts, share_filled):
    """Of the whole bank, cameras of too few rows with it; the loss is what it is without the recall."""
    features, bank, rows = make_case(sum(counts), batch=12)
    old = features.detach() + 0.5 * torch.randn(features.shape, dtype=torch.float64)
    filled = torch.rand(sum(counts)) < share_filled
    ours = CameraPEDALLoss(counts, 3, 30.0, k_recall=5, block_rows=4)
    loss, recall = ours.loss_and_recall(features, Bank(bank, filled), rows, old)
    assert loss.equal(ours(features, Bank(bank, filled), rows))
    expected = PEDALLoss(5, 30.0).loss_and_recall(features, Bank(bank, filled), rows, old)[1]
    assert 0 < expected < 1
    assert recall.equal(expected)


def test_one_camera_is_pedal_to_the_bit():
    features, bank, rows = make_case(40)
    losses = [loss(features, bank, rows) for loss in (CameraPEDALLoss([40], 5, 30.0), PEDALLoss(5, 30.0))]
    assert losses[0].equal(losses[1])
    ours, theirs = (torch.autograd.grad(loss, features)[0] for loss in losses)
    assert ours.equal(theirs)


def test_small_cameras_are_left_out():
    loss = CameraPEDALLoss([5, 1, 5, 4], k=4)
    assert (loss.spans, loss.left_out) == ([(0, 5), (6, 11)], 2)
    assert repr(loss).startswith('CameraPEDALLoss(\n  2 cameras, 2 left out')
