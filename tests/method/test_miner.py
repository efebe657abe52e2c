"""Cyclic ranking against the procedure of the paper, walked in loops."""

import pytest
import torch
from helpers.by_loops import mined_by_loops, ranking

from paul_plugin import CyclicRankingMiner


@pytest.mark.parametrize('r', [1, 2, 3, 5, 20])
@pytest.mark.parametrize('batch', [1, 2, 3, 4, 5, 17, 40])
def test_procedure(batch, r):
    features = torch.randn(batch, 4, dtype=torch.float64)
    assert CyclicRankingMiner(r)(features).tolist() == mined_by_loops(features, r)


def test_ties_rank_by_index():
    features = torch.randint(0, 3, (25, 2)).double()
    assert CyclicRankingMiner(3)(features).tolist() == mined_by_loops(features, 3)


def test_no_gradient_and_any_precision():
    features = torch.randn(12, 6, requires_grad=True)
    negatives = CyclicRankingMiner(2)(features)
    assert not negatives.requires_grad
    assert negatives.dtype == torch.int64
    assert CyclicRankingMiner(2)(features.detach().half()).shape == (12,)


@pytest.mark.parametrize('r', [1, 2, 4])
@pytest.mark.parametrize('max_candidates', [None, 1, 3, 50])
def test_candidates_of_their_own(r, max_candidates):
    """Anchors against other descriptors, one an image, at most so many tried."""
    anchors = torch.randn(18, 4, dtype=torch.float64)
    candidates = torch.randn(9, 4, dtype=torch.float64)
    owners = torch.arange(18) // 2
    expected = []
    for anchor, own in zip(anchors, owners.tolist()):
        others = sorted((j for j in range(9) if j != own), key=lambda j, a=anchor: torch.dist(a, candidates[j]).item())
        passing = [j for j in others[:max_candidates] if own not in ranking(candidates, j)[:r]]
        expected.append(passing[0] if passing else -1)
    assert CyclicRankingMiner(r, max_candidates)(anchors, candidates, owners).tolist() == expected
    same = CyclicRankingMiner(r, max_candidates)(candidates)
    assert CyclicRankingMiner(r, max_candidates)(candidates, candidates, torch.arange(9)).equal(same)
