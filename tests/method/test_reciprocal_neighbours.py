"""Reciprocal neighbours against their definition in loops."""

import math

import pytest
import torch
from helpers.by_loops import COUNTS, cameras_of, unit_of
from torch.nn import functional as F

from paul_plugin.method.mutual_neighbours import NONE, MutualNeighbours
from paul_plugin.method.reciprocal_neighbours import ReciprocalNeighbours


def descriptors_of(counts, people=6, dim=8):
    """A few people, whom one can tell apart, but not always."""
    generator = torch.Generator().manual_seed(sum(counts))
    centres = torch.randn(people, dim, dtype=torch.float64, generator=generator)
    noise = torch.randn(sum(counts), dim, dtype=torch.float64, generator=generator)
    return centres[torch.arange(sum(counts)) % people] + 0.6 * noise


def positives_by_loops(descriptors, counts, k, shared, expand, overlap):
    """(N, C) lists of rows."""
    cameras = cameras_of(counts)
    images = range(len(cameras))
    unit = [each.tolist() for each in unit_of(descriptors, counts)]

    def cosine(i, j):
        return sum(a * b for a, b in zip(unit[i], unit[j], strict=True))

    near = [[i, *sorted((j for j in images if j != i), key=lambda j: -cosine(i, j))[:shared]] for i in images]
    v = []
    for i in images:
        weights = {j: math.exp(-(2 - 2 * cosine(i, j))) if j != i else 1.0 for j in near[i] if i in near[j]}
        v.append({j: weight / sum(weights.values()) for j, weight in weights.items()})
    u = [[sum(v[j].get(m, 0) for j in near[i][:expand]) / len(near[i][:expand]) for m in images] for i in images]

    def shares(i, j):
        product = sum(a * b for a, b in zip(u[i], u[j], strict=True))
        return product / math.sqrt(sum(a * a for a in u[i]) * sum(b * b for b in u[j]))

    def largest(i, camera):
        found = {j: shares(i, j) for j in images if cameras[j] == camera and j != i}
        return sorted((j for j in found if found[j] > overlap), key=lambda j: -found[j])[:k]

    chosen = [[largest(i, camera) for camera in range(len(counts))] for i in images]
    return [
        [[j for j in chosen[i][camera] if i in chosen[j][cameras[i]]] for camera in range(len(counts))] for i in images
    ]


@pytest.mark.parametrize('counts', COUNTS)
@pytest.mark.parametrize(('k', 'shared', 'expand', 'overlap'), [(3, 5, 2, 0.3), (1, 4, 1, 0.0), (25, 12, 6, 0.6)])
def test_positives(counts, k, shared, expand, overlap):
    descriptors = descriptors_of(counts)
    miner = ReciprocalNeighbours(counts, k, shared=shared, expand=expand, overlap=overlap, block_numbers=100)
    found = miner(descriptors)
    assert found.shape == (sum(counts), len(counts), k)
    lists = [[[j for j in rows if j != NONE] for rows in image] for image in found.tolist()]
    expected = positives_by_loops(descriptors, counts, k, shared, expand, overlap)
    if k == 25:  # of all: in groups of the same images overlaps are equal, and their order is a matter of rounding
        lists, expected = ([[sorted(rows) for rows in image] for image in each] for each in (lists, expected))
    assert lists == expected
    assert any(rows for image in lists for rows in image)
    there = found != NONE
    assert (there[..., :-1] | ~there[..., 1:]).all()  # those that are there come first


def test_blocks_change_nothing():
    descriptors = descriptors_of([40, 25, 35]).float()
    whole, rows = (ReciprocalNeighbours([40, 25, 35], 4, block_numbers=size)(descriptors) for size in (10**6, 1))
    assert torch.equal(whole, rows)


@pytest.mark.parametrize(
    ('miner', 'gone_through'),
    [
        (ReciprocalNeighbours([9, 8], k=3, shared=5, block_numbers=40), [9, 9]),
        (MutualNeighbours([9, 8], k=3, block_rows=5), [8]),
    ],
)
def test_blocks_may_be_shown(miner, gone_through):
    seen = []

    def shown(blocks):
        seen.append(0)
        for block in blocks:
            seen[-1] += 1
            yield block

    descriptors = descriptors_of([9, 8])
    assert miner(descriptors, shown).equal(miner(descriptors))
    assert seen == gone_through


def test_of_equal_overlaps_the_first():
    """One person five times over: all overlaps are 1."""
    descriptors = F.pad(torch.ones(5, 1), (0, 1)).repeat(2, 1)
    descriptors[5:] = torch.tensor([0.0, 1.0])
    found = ReciprocalNeighbours([10], k=2, shared=4, expand=2, overlap=0.5)(descriptors)
    assert found[0, 0].tolist() == [1, 2]
    assert found[5, 0].tolist() == [6, 7]
