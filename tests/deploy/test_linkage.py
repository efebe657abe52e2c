"""Average linkage of what has little in common, against scikit-learn's and SciPy's dense ones, ties included."""

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score

from paul_plugin.deploy import grouping
from paul_plugin.deploy.linkage import join


def overlaps(seed):
    """Counts of common neighbours of up to 60 points, (n, n), and of each one's own: many ties."""
    rng = np.random.default_rng(seed)
    count, k = rng.integers(2, 60), rng.integers(1, 10)
    points = rng.normal(size=(count, rng.integers(1, 6)))
    far = ((points[:, None] - points) ** 2).sum(-1)
    np.fill_diagonal(far, -1)
    near = np.zeros((count, count), np.int32)
    near[np.arange(count)[:, None], far.argsort(1)[:, : k + 1]] = 1
    mutual = near * near.T
    return mutual @ mutual.T, mutual.sum(1)


def apart(seed):
    common, sizes = overlaps(seed)
    return 1 - common.astype(np.float32) / (sizes[:, None] + sizes - common)


@pytest.mark.parametrize('overlap', [0.1, 0.15, 0.5])
def test_against_the_dense_method(overlap):
    for seed in range(40):
        matrix = apart(seed)
        options = {'metric': 'precomputed', 'linkage': 'average', 'n_clusters': None}
        dense = AgglomerativeClustering(distance_threshold=np.nextafter(1 - overlap, 2), **options).fit_predict(matrix)
        rows = [{j: float(row[j]) for j in range(len(row)) if j != i and row[j] < 1} for i, row in enumerate(matrix)]
        found = join(rows, 1 - overlap)
        assert adjusted_rand_score(dense, found) == 1, seed
        assert found.max() == dense.max(), seed


def test_both_ways_of_a_chain_agree(monkeypatch):
    """The one that holds all pairs, and the one that holds those with something in common."""
    for seed in range(20):
        common, sizes = overlaps(seed)
        both = []
        for most in (0, 10**6):
            monkeypatch.setattr(grouping, '_MOST', most)
            both.append(grouping._joined(grouping.sparse.csr_array(common), sizes, 0.15))
        assert adjusted_rand_score(*both) == 1, seed


def test_nothing_in_common():
    assert join([{}, {}, {}], 0.8).tolist() == [0, 1, 2]
    assert join([{1: 0.2}, {0: 0.2, 2: 0.9}, {1: 0.9}], 0.5).tolist() == [0, 0, 1]
