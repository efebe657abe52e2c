"""Groups of crops by their neighbours, against counts of sets and SciPy's clustering; what they are invariant to."""

import numpy as np
import pytest
import torch
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score

from paul_plugin.config.settings import with_keys
from paul_plugin.deploy import grouping, nearest
from paul_plugin.deploy.as_tested import distances
from paul_plugin.deploy.grouping import by_size, group
from paul_plugin.runtime.errors import UserError


def people(count=8, crops=9, spread=0.3):
    """Descriptors of people around places of their own, and who each is, in a mixed order."""
    generator = torch.Generator().manual_seed(4)
    who = torch.arange(count).repeat(crops)[torch.randperm(count * crops, generator=generator)]
    places = torch.randn(count, 12, generator=generator)
    return places[who] + spread * torch.randn(len(who), 12, generator=generator), who.numpy()


@pytest.mark.parametrize('spread', [0.2, 0.8])
@pytest.mark.parametrize(('k', 'overlap'), [(5, 0.15), (12, 0.4)])
def test_against_sets_and_scipy(trained, spread, k, overlap):
    rows, _ = people(spread=spread)
    matrix = distances(trained, rows, rows).fill_diagonal_(-1)
    nearest = [set(row.argsort(stable=True)[: k + 1].tolist()) for row in matrix]
    own = [{j for j in each if i in nearest[j]} for i, each in enumerate(nearest)]
    apart = np.array([[1 - len(one & other) / len(one | other) for other in own] for one in own])
    tree = hierarchy.linkage(squareform(apart, checks=False), 'average')
    expected = hierarchy.fcluster(tree, 1 - overlap + 1e-9, 'distance')
    found = group(trained, rows, k, overlap)
    assert 3 < found.max() < len(rows)
    assert adjusted_rand_score(expected, found) == 1
    assert np.bincount(found)[1:].tolist() == sorted(np.bincount(found)[1:], reverse=True)


def test_people_who_are_apart(trained, monkeypatch):
    rows, who = people(spread=0.1)
    found = group(trained, rows, neighbours=8)
    assert adjusted_rand_score(who, found) == 1
    monkeypatch.setattr(nearest, '_ROWS', 7)
    assert np.array_equal(group(trained, rows, neighbours=8), found)
    order = torch.randperm(len(rows))
    assert adjusted_rand_score(group(trained, rows[order], neighbours=8), found[order]) == 1


def test_nobody_is_linked_with_nobody(trained):
    """Five people, one crop each: without a threshold one group, with one five."""
    rows = torch.eye(12)[:5]
    assert group(trained, rows).tolist() == [1] * 5
    assert sorted(group(trained, rows, threshold=0.9)) == [1, 2, 3, 4, 5]
    twice = torch.cat([rows, rows + 0.01])
    assert group(trained, twice, threshold=0.9).tolist() == [1, 2, 3, 4, 5] * 2


@pytest.mark.parametrize('metric', ['cosine', 'euclidean'])
def test_each_two_compared_once_are_compared_as_before(trained, monkeypatch, metric):
    cfg = with_keys(trained.cfg, {'test.dist_metric': metric})
    rows = people(count=20)[0]
    matrix = distances(trained._replace(cfg=cfg), rows, rows).fill_diagonal_(torch.inf)
    expected = matrix.topk(7, largest=False)
    for block in (7, 64, 1000):
        monkeypatch.setattr(nearest, '_ROWS', block)
        far, places = nearest.nearest(trained._replace(cfg=cfg), rows, 7)
        torch.testing.assert_close(far, expected.values)
        assert places.equal(expected.indices)
    far, places = nearest.nearest(trained, rows[:1], 0)
    assert far.shape == places.shape == (1, 0)


@pytest.mark.parametrize('count', [1, 2, 3])
def test_few_crops(trained, count):
    assert group(trained, torch.eye(12)[:1].repeat(count, 1)).tolist() == [1] * count


def test_the_largest_group_is_first():
    assert by_size([5, 0, 5, 9, 9, 5, 0, 3]).tolist() == [1, 2, 1, 3, 3, 1, 2, 4]


def test_too_many_crops_that_hang_together(trained, monkeypatch):
    monkeypatch.setattr(grouping, '_MOST', 20)
    monkeypatch.setattr(grouping, '_MOST_PAIRS', 50)
    rows = torch.randn(40, 12)
    with pytest.raises(UserError, match=r'crops hang .*, \d+ pairs of them, more than 50: lower --neighbours'):
        group(trained, rows)
