"""PEDAL camera by camera against its formula in loops, and against PEDAL itself."""

import pytest
import torch
from torch.nn import functional as F

from paul_plugin import PEDALLoss
from paul_plugin.method.camera_pedal import CameraPEDALLoss
from paul_plugin.method.memory import Bank


def brute_force(features, bank, rows, filled, counts, k, scale):
    """The formula, image by image, patch by patch and camera by camera."""
    camera_of = [camera for camera, count in enumerate(counts) for _ in range(count)]
    cameras = [camera for camera, count in enumerate(counts) if count > k]
    total = 0
    for i, row in enumerate(rows.tolist()):
        for m in range(features.shape[1]):
            for camera in cameras:
                others = [j for j, of in enumerate(camera_of) if of == camera and j != row and filled[j]]
                if not others:
                    continue
                logits = {j: -scale / 2 * ((bank[m, j] - features[i, m]) ** 2).sum() for j in others}
                near = sorted(others, key=lambda j: -logits[j].item())[:k]
                total += torch.stack(list(logits.values())).logsumexp(0)
                total -= torch.stack([logits[j] for j in near]).logsumexp(0)
    return total / (features.shape[0] * features.shape[1] * len(cameras))


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
    expected = brute_force(features, bank, rows, filled, counts, k, scale)
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


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [(([], 2), 'each camera must have a row'), (([3, 0], 2), r'got counts=\[3, 0\]'),
     (([2, 2], 2), 'k=2 needs a camera of more than k rows'), (([9], 0), 'k must be at least 1')],
)  # fmt: skip
def test_refuses_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        CameraPEDALLoss(*arguments)


def test_refuses_another_bank():
    features, bank, rows = make_case(40)
    with pytest.raises(ValueError, match='cameras of 39 rows in all, a bank of 40'):
        CameraPEDALLoss([20, 19], 2)(features, bank, rows)
