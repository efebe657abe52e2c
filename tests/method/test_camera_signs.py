"""Camera mixing, camera mutuality and patch agreement against brute-force loops over crops."""

import math

import pytest
import torch

from paul_plugin.method import camera_signs
from paul_plugin.method.camera_signs import camera_mixing, camera_mutuality, effective_rank, patch_agreement


def nearest(descriptors, i, candidates, k):
    """The k nearest candidates, by the cosine; of equal ones the first."""
    cosine = torch.nn.functional.cosine_similarity(descriptors[i][None], descriptors[candidates])
    return [candidates[place] for place in sorted(range(len(candidates)), key=lambda j: (-cosine[j].item(), j))[:k]]


def mixing_by_loops(descriptors, cameras, k):
    found, chance, pairs = 0, 0.0, 0
    for i in range(len(cameras)):
        others = [j for j in range(len(cameras)) if j != i]
        near = nearest(descriptors, i, others, k)
        found += sum(bool(cameras[j] != cameras[i]) for j in near)
        pairs += len(near)
        chance += sum(bool(cameras[j] != cameras[i]) for j in others) / len(others) / len(cameras)
    return found / pairs / chance


def mutuality_by_loops(descriptors, cameras, k):
    near = [
        nearest(descriptors, i, [j for j in range(len(cameras)) if cameras[j] != cameras[i]], k)
        for i in range(len(cameras))
    ]
    pairs = [(i, j) for i in range(len(cameras)) for j in near[i]]
    return sum(i in near[j] for i, j in pairs) / len(pairs)


def agreement_by_loops(features, cameras, k):
    centred = features.clone()
    for i in range(len(cameras)):
        own = [j for j in range(len(cameras)) if cameras[j] == cameras[i]]
        centred[i] = features[i] - sum(features[j] for j in own) / len(own) if len(own) > 1 else features[i]
    agreed = 0
    for i in range(len(cameras)):
        others = [j for j in range(len(cameras)) if cameras[j] != cameras[i]]
        near = nearest(centred.flatten(1), i, others, k)
        agreed += sum(nearest(centred[:, m], i, others, 1)[0] in near for m in range(features.shape[1]))
    return agreed / (len(cameras) * features.shape[1])


@pytest.mark.parametrize(('number', 'cameras', 'k'), [(60, 3, 5), (60, 2, 10), (7, 2, 10), (41, 6, 1)])
@pytest.mark.parametrize('rows', [16, 512])
def test_against_loops(monkeypatch, number, cameras, k, rows):
    """In blocks and at once; with a camera that has fewer than k others, and with few crops."""
    monkeypatch.setattr(camera_signs, '_ROWS', rows)
    descriptors = torch.randn(number, 8, dtype=torch.float64)
    of = torch.arange(number) % cameras
    of[: number // 3] = 0
    assert camera_mixing(descriptors, of, k) == pytest.approx(mixing_by_loops(descriptors, of, k), abs=1e-6)
    assert camera_mutuality(descriptors, of, k) == pytest.approx(mutuality_by_loops(descriptors, of, k), abs=1e-6)


@pytest.mark.parametrize(('number', 'cameras', 'k'), [(60, 3, 5), (7, 2, 10), (41, 6, 1), (9, 8, 2)])
def test_agreement_against_loops(number, cameras, k):
    """Also with cameras of one crop, whose mean is the crop."""
    features = torch.nn.functional.normalize(torch.randn(number, 3, 8, dtype=torch.float64), dim=2)
    of = torch.arange(number) % cameras
    assert patch_agreement(features, of, k) == pytest.approx(agreement_by_loops(features, of, k), abs=1e-9)


def test_of_equally_near_crops_the_first():
    descriptors = torch.ones(6, 4)
    cameras = torch.tensor([0, 0, 0, 1, 1, 1])
    assert camera_mutuality(descriptors, cameras, k=1) == pytest.approx(2 / 6)  # all of them choose 0 or 3
    assert camera_mixing(descriptors, cameras, k=1) == pytest.approx((3 / 6) / (3 / 5))  # 1 chooses 0, 3 chooses 0


@pytest.mark.parametrize('sign', [camera_mixing, camera_mutuality, patch_agreement])
def test_one_camera(sign):
    with pytest.raises(ValueError, match='two cameras'):
        sign(torch.randn(5, 2, 3) if sign is patch_agreement else torch.randn(5, 3), torch.zeros(5, dtype=torch.int64))


def rank_by_loops(descriptors, cameras):
    """By the singular values, of one crop after the other."""
    rows = []
    for i in range(len(cameras)):
        own = [descriptors[j] for j in range(len(cameras)) if cameras[j] == cameras[i]]
        row = descriptors[i] - sum(own) / len(own) if len(own) > 1 else descriptors[i]
        rows.append(row / row.norm())
    mean = sum(rows) / len(rows)
    squares = [value.item() ** 2 for value in torch.linalg.svdvals(torch.stack([row - mean for row in rows]))]
    shares = [square / sum(squares) for square in squares if square > 1e-20]
    return math.exp(-sum(share * math.log(share) for share in shares))


@pytest.mark.parametrize(('number', 'length'), [(60, 8), (7, 20), (30, 30)])
def test_effective_rank_against_loops(number, length):
    """More crops than numbers, fewer, and a camera with a single crop."""
    descriptors = torch.randn(number, length, dtype=torch.float64)
    of = torch.arange(number) % 3
    of[-1] = 5
    assert effective_rank(descriptors, of) == pytest.approx(rank_by_loops(descriptors, of), rel=1e-9)


def test_effective_rank_of_what_has_lost_directions():
    descriptors = torch.randn(200, 16)
    of = torch.arange(200) % 4
    assert effective_rank(descriptors, of) > 14
    assert effective_rank(descriptors[:, :3] @ torch.randn(3, 16), of) < 3.01
    assert effective_rank(descriptors[:1].expand(200, 16), of) == 0
