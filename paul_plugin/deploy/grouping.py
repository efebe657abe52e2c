"""Unlabelled crops grouped by person: those that are among each other's nearest, joined by average linkage."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from torch import Tensor

from ..run.trained import Trained
from ..runtime.errors import UserError
from .linkage import join
from .nearest import nearest

NEIGHBOURS = 10  # about as many crops as there are of one person
OVERLAP = 0.15
_MOST = 15_000  # crops of a chain whose pairs are all held: 24 bytes for each pair of two
_MOST_PAIRS = 30_000_000  # with something in common, of a chain: some 100 bytes each


def group(
    trained: Trained,
    descriptors: Tensor,
    neighbours: int = NEIGHBOURS,
    overlap: float = OVERLAP,
    threshold: float | None = None,
) -> NDArray[np.int64]:
    """Groups crops by person, without labels, and without knowing how many persons there are.

    How far one person's crops are from each other differs from model to model and from crop to crop; which crops are
    nearest does not need a scale. So crops are compared by their neighbourhoods: the crops that are among each other's
    `neighbours` nearest, by the distance of the run's test. Two neighbourhoods overlap by the share of their crops
    that they have in common (Jaccard's index, as in k-reciprocal re-ranking: Zhong et al., CVPR 2017). Two groups are
    joined while the mean overlap of their crops is at least `overlap` (average linkage).

    The nearest crops of somebody who is there once are other people's: without a threshold they are linked with those.
    Each two crops are compared once, a block at a time: time grows with the square of N, memory with N.

    The defaults were chosen on synthetic people with labels. More neighbours, or less overlap, make larger groups.

    Args:
        trained: the model.
        descriptors: (N, E), as `read_gallery` gives them.
        neighbours: at least 1.
        overlap: above 0, at most 1.
        threshold: a distance; crops that are not nearer are no neighbours. None for none.

    Returns:
        (N,), the group of each crop, from 1 on, the largest first; a crop like no other is a group of one.

    Raises:
        UserError: if too many crops hang together.

    Example:
        >>> group(trained, read_gallery(trained, 'crops')[1])
        array([1, 1, 2, 1, 3])
    """
    mutual = _mutual(trained, descriptors, min(neighbours, len(descriptors) - 1), threshold)
    common = sparse.csr_array(mutual @ mutual.T)
    sizes = mutual.sum(1)
    count, chain = sparse.csgraph.connected_components(common, directed=False)
    found = np.empty(len(descriptors), np.int64)
    free = 0
    order = np.split(np.argsort(chain, kind='stable'), np.cumsum(np.bincount(chain, minlength=count))[:-1])
    for members in order:  # crops of two chains have nothing in common, and are never joined
        labels = _joined(common[members][:, members], sizes[members], overlap)
        found[members] = free + labels
        free += labels.max() + 1
    return by_size(found)


def _mutual(trained: Trained, descriptors: Tensor, k: int, threshold: float | None) -> sparse.csr_array:
    """(N, N), 1 where two crops are among each other's k nearest, and for each crop with itself."""
    total = len(descriptors)
    far, columns = nearest(trained, descriptors, k)
    linked = np.ones(columns.numel(), bool) if threshold is None else (far < threshold).numpy().ravel()
    rows, others = np.repeat(np.arange(total), k)[linked], columns.numpy().ravel()[linked]
    near = sparse.csr_array((np.ones(rows.size, np.int32), (rows, others)), (total, total))
    return sparse.csr_array(near.multiply(near.T) + sparse.eye_array(total, dtype=np.int32))


def _joined(common: sparse.csr_array, sizes: NDArray[np.int32], overlap: float) -> NDArray[np.int64]:
    """The groups, from 0 on, of n crops that hang together, by how many neighbours two have in common, (n, n)."""
    total = len(sizes)
    if total == 1:
        return np.zeros(1, np.int64)
    if total <= _MOST and common.nnz > total * total // 4:  # most have something in common
        both = common.toarray().astype(np.float32)
        apart = squareform(1 - both / (sizes[:, None] + sizes - both), checks=False)
        tree = hierarchy.linkage(apart, 'average')
        return hierarchy.fcluster(tree, 1 - overlap, 'distance').astype(np.int64) - 1
    if common.nnz > _MOST_PAIRS:
        raise UserError(
            f'{total} crops hang together by their neighbours, {common.nnz} pairs of them, more than {_MOST_PAIRS}: '
            'lower --neighbours, name a --threshold, or group fewer crops at a time'
        )
    # As the dense method reckons, to the bit: shares in float32 by float64, means in float64. A row at a time,
    # and with one number for each crop: with lists of all pairs, 100,000 crops took 4.1 GB in the place of 2.7.
    numbers = np.array(range(total), object)
    rows: list[dict[int, float]] = []
    for one in range(total):
        span = slice(common.indptr[one], common.indptr[one + 1])
        others, both = common.indices[span], common.data[span].astype(np.float32)
        far = 1 - both / (sizes[one] + sizes[others] - both)
        rows.append(dict(zip(numbers[others].tolist(), far.tolist(), strict=True)))
        del rows[one][one]
    return join(rows, 1 - overlap)


def by_size(labels: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Any labels of groups as numbers from 1 on, the largest group first, of two the one that begins first.

    Example:
        >>> by_size([7, 3, 7])
        array([1, 2, 1])
    """
    _, first, inverse, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), np.int64)
    rank[np.lexsort((first, -counts))] = np.arange(1, len(counts) + 1)
    return rank[inverse]
