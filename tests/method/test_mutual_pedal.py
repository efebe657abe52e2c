"""Mutual neighbours, and PEDAL over them, against their definitions in loops."""

import pytest
import torch
from helpers.by_loops import COUNTS, cameras_of, unit_of
from torch.nn import functional as F

from paul_plugin.method.memory import Bank
from paul_plugin.method.mutual_neighbours import NONE, MutualNeighbours, numbers_of_positives
from paul_plugin.method.mutual_pedal import MutualPEDALLoss


def positives_by_loops(descriptors, counts, k, both_ways):
    """(N, C) lists of rows."""
    cameras, unit = cameras_of(counts), unit_of(descriptors, counts)

    def near(i, camera):
        others = [j for j, of in enumerate(cameras) if of == camera and j != i]
        return sorted(others, key=lambda j: -(unit[i] @ unit[j]).item())[:k]

    def chosen(i, camera):
        return [j for j in near(i, camera) if not both_ways or i in near(j, cameras[i])]

    return [[chosen(i, camera) for camera in range(len(counts))] for i in range(len(cameras))]


def make_bank(images, patches=2, dim=5, seed=0):
    generator = torch.Generator().manual_seed(images + seed)
    return F.normalize(torch.randn(patches, images, dim, dtype=torch.float64, generator=generator), dim=2)


@pytest.mark.parametrize('counts', COUNTS)
@pytest.mark.parametrize('k', [1, 2, 6])
@pytest.mark.parametrize('both_ways', [True, False])
def test_positives(counts, k, both_ways):
    descriptors = make_bank(sum(counts)).transpose(0, 1).flatten(1)
    found = MutualNeighbours(counts, k, both_ways=both_ways, block_rows=4)(descriptors)
    assert found.shape == (sum(counts), len(counts), k)
    lists = [[[j for j in rows if j != NONE] for rows in image] for image in found.tolist()]
    assert lists == positives_by_loops(descriptors, counts, k, both_ways)
    there = found != NONE
    assert (there[..., :-1] | ~there[..., 1:]).all()  # those that are there come first


def test_equally_near_images_go_by_their_order():
    descriptors = torch.tensor([[1.0, 0], [0, 1], [0, 1], [0, 1], [1, 0]])
    miner = MutualNeighbours([1, 4], k=2, both_ways=False)
    assert miner._nearest(descriptors, slice(0, 1), 1, 5).tolist() == [[4, 1]]
    assert miner._nearest(descriptors, slice(1, 3), 1, 5).tolist() == [[2, 3], [1, 3]]


def loss_by_loops(features, bank, rows, positives, filled, counts, scale):
    cameras, losses = cameras_of(counts), []
    pairs = 0
    for b, i in enumerate(rows.tolist()):
        for camera in range(len(counts)):
            chosen = [j for j in positives[i, camera].tolist() if j != NONE]
            pairs += bool(chosen)
            others = [j for j, of in enumerate(cameras) if of == camera and j != i and filled[j]]
            for m in range(features.shape[1]) if chosen else ():
                logits = -scale / 2 * ((bank[m] - features[b, m]) ** 2).sum(1)
                losses.append(logits[others].logsumexp(0) - logits[chosen].logsumexp(0))
    return sum(losses) / (pairs * features.shape[1])


@pytest.mark.parametrize('counts', COUNTS)
@pytest.mark.parametrize(('k', 'scale'), [(1, 10.0), (3, 30.0), (3, 0.5)])
def test_loss_and_gradient(counts, k, scale):
    bank = make_bank(sum(counts))
    positives = MutualNeighbours(counts, k)(bank.transpose(0, 1).flatten(1))
    rows = torch.randperm(sum(counts), generator=torch.Generator().manual_seed(1))[:6]
    features = make_bank(6, seed=7).transpose(0, 1).requires_grad_()
    filled = torch.ones(sum(counts), dtype=torch.bool)
    loss = MutualPEDALLoss(MutualNeighbours(counts).spans, 3, scale, block_rows=4)
    found = loss(features, Bank(bank, filled), rows, positives[rows])
    expected = loss_by_loops(features, bank, rows, positives, filled, counts, scale)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    grads = [torch.autograd.grad(each, features)[0] for each in (found, expected)]
    torch.testing.assert_close(*grads, rtol=0, atol=1e-9)
    old = bank[:, rows].transpose(0, 1)
    both, recall = loss.loss_and_recall(features, Bank(bank, filled), rows, old, positives[rows])
    assert both == found
    counted = 0
    for b, i in enumerate(rows.tolist()):
        for m in range(2):
            far = (bank[m] - features[b, m].detach()).norm(dim=1)
            counted += sum(far[j] < far[i] for j in range(sum(counts)) if j != i).item() < 3
    assert recall.item() == pytest.approx(counted / 12)


def test_images_without_positives_add_nothing():
    bank = make_bank(12)
    features = make_bank(4, seed=3).transpose(0, 1).requires_grad_()
    loss = MutualPEDALLoss([(0, 6), (6, 12)])
    none = torch.full((4, 2, 2), NONE)
    found = loss(features, bank, torch.arange(4), none)
    found.backward()
    assert found == 0
    assert (features.grad == 0).all()
    some = none.clone()
    some[1, 1, 0] = 7
    alone = loss(features[1:2], bank, torch.tensor([1]), some[1:2])
    assert loss(features, bank, torch.arange(4), some) == alone > 0


def test_what_is_recorded():
    positives = torch.tensor([[[1, NONE], [2, 3]], [[0, NONE], [NONE, NONE]], [[0, NONE], [NONE, NONE]],
                              [[NONE, NONE], [NONE, NONE]]])  # fmt: skip
    recorded = numbers_of_positives(positives, [(0, 2), (2, 4)])
    assert recorded == {'positives': 5 / 4, 'other_cameras': 3 / 4, 'without': 0.25}
