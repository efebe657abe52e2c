"""Thresholds between the same and different persons against counts of every pair."""

import numpy as np
import pytest

from paul_plugin.report.thresholds.pairs import Pairs, roc, split_pairs, thresholds


@pytest.fixture
def labelled():
    """Distances of 30 queries and 40 gallery images of 6 people and 3 cameras, with ties."""
    rng = np.random.default_rng(3)
    items = [[('', int(rng.integers(6)), int(rng.integers(3))) for _ in range(count)] for count in (30, 40)]
    return rng.integers(0, 50, (30, 40)).astype(np.float32) / 50, *items


def test_pairs_of_two_cameras(labelled):
    matrix, queries, gallery = labelled
    found = {True: [], False: []}
    for row, (_, person, camera) in zip(matrix, queries, strict=True):
        for distance, (_, other, place) in zip(row, gallery, strict=True):
            if camera != place:
                found[person == other].append(distance)
    pairs = split_pairs(*labelled)
    assert pairs.same.tolist() == sorted(found[True])
    assert pairs.different.tolist() == sorted(found[False])


@pytest.mark.parametrize('share', [0, 0.002, 0.01, 0.05, 0.3, 0.99])
def test_no_larger_threshold_accepts_as_little(labelled, share):
    pairs = split_pairs(*labelled)
    (found,) = thresholds(pairs, [share])
    assert found.asked == share
    assert found.different == np.mean(pairs.different < found.threshold)
    assert found.same == np.mean(pairs.same < found.threshold)
    assert found.different <= share < np.mean(pairs.different <= found.threshold)


def test_the_roc_goes_through_every_same_pair(labelled):
    pairs = split_pairs(*labelled)
    different, same = roc(pairs, points=10**6)
    for distance, x, y in zip(pairs.same, different, same, strict=True):
        assert x == np.mean(pairs.different <= distance)
        assert y == np.mean(pairs.same <= distance)
    few, all_of_them = roc(pairs, points=7)
    assert (len(few), all_of_them[-1]) == (7, 1)


def test_people_apart():
    pairs = Pairs(np.array([0.1, 0.2], np.float32), np.array([0.5, 0.6], np.float32))
    assert [each.same for each in thresholds(pairs, [0, 0.5])] == [1, 1]
    assert roc(pairs)[0].tolist() == [0, 0]


def test_a_share_of_too_few_pairs_is_not_told():
    """0.1 % of six pairs would be the nearest of them."""
    few, enough = (Pairs(np.array([0.1]), np.linspace(0.2, 0.9, count)) for count in (6, 1000))
    (found,) = thresholds(few, [0.001])
    assert (found.threshold, found.different, found.same) == (None, None, None)
    assert found.lack() == 'too few pairs: 6 of 1000'
    assert thresholds(enough, [0.001])[0].threshold == np.linspace(0.2, 0.9, 1000)[1]
    assert [each.threshold is None for each in thresholds(few, [0, 0.15, 0.2])] == [False, True, False]


def test_an_image_is_not_less_than_nothing_away():
    items = [('', 0, 0), ('', 1, 0)], [('', 0, 1)]
    same, different = split_pairs(np.array([[-1e-7], [0.5]], np.float32), *items)
    assert (str(same.tolist()), different.tolist()) == ('[0.0]', [0.5])
