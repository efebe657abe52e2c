"""Unlabelled crops grouped by person: those that are among each other's nearest, joined by average linkage."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor
from tqdm import tqdm

from ..run.trained import Trained
from ..runtime.errors import UserError, import_optional
from .as_tested import distances

NEIGHBOURS = 10  # about as many crops as there are of one person
OVERLAP = 0.15
_ROWS = 256  # whose distances are held at a time
_MOST = 15_000  # crops of a chain: 15 bytes for each pair of them


def group(
    trained: Trained, descriptors: Tensor, neighbours: int = NEIGHBOURS, overlap: float = OVERLAP
) -> NDArray[np.int64]:
    """Groups crops by person, without labels, and without knowing how many persons there are.

    How far one person's crops are from each other differs from model to model and from crop to crop; which crops are
    nearest does not need a scale. So crops are compared by their neighbourhoods: the crops that are among each other's
    `neighbours` nearest, by the distance of the run's test. Two neighbourhoods overlap by the share of their crops
    that they have in common (Jaccard's index, as in k-reciprocal re-ranking: Zhong et al., CVPR 2017). Two groups are
    joined while the mean overlap of their crops is at least `overlap` (scikit-learn's agglomerative clustering).

    The defaults were chosen on synthetic people with labels. More neighbours, or less overlap, make larger groups.

    Args:
        trained: the model.
        descriptors: (N, E), as `read_gallery` gives them.
        neighbours: at least 1.
        overlap: above 0, at most 1.

    Returns:
        (N,), the group of each crop, from 1 on, the largest first; a crop like no other is a group of one.

    Raises:
        UserError: if scikit-learn is missing, or too many crops hang together.

    Example:
        >>> group(trained, read_gallery(trained, 'crops')[1])
        array([1, 1, 2, 1, 3])
    """
    import_optional('sklearn.cluster')
    mutual = _mutual(trained, descriptors, min(neighbours, len(descriptors) - 1))
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


def _mutual(trained: Trained, descriptors: Tensor, k: int) -> sparse.csr_array:
    """(N, N), 1 where two crops are among each other's k nearest, and for each crop with itself."""
    total = len(descriptors)
    columns = []
    for start in tqdm(range(0, total, _ROWS), 'Comparing crops', delay=2, leave=False):
        matrix = distances(trained, descriptors[start : start + _ROWS], descriptors)
        matrix[range(len(matrix)), range(start, start + len(matrix))] = float('inf')
        columns.append(matrix.topk(k, largest=False).indices.numpy())
    nearest = np.concatenate(columns)
    rows = np.repeat(np.arange(total), k)
    near = sparse.csr_array((np.ones(rows.size, np.int32), (rows, nearest.ravel())), (total, total))
    return sparse.csr_array(near.multiply(near.T) + sparse.eye_array(total, dtype=np.int32))


def _joined(common: sparse.csr_array, sizes: NDArray[np.int32], overlap: float) -> NDArray[np.int64]:
    """The groups, from 0 on, of n crops that hang together, by how many neighbours two have in common, (n, n)."""
    if len(sizes) == 1:
        return np.zeros(1, np.int64)
    if len(sizes) > _MOST:
        raise UserError(
            f'{len(sizes)} crops hang together by their neighbours, more than {_MOST}: lower --neighbours, or group '
            'fewer crops at a time'
        )
    both = common.toarray().astype(np.float32)
    apart = 1 - both / (sizes[:, None] + sizes - both)
    options = {'metric': 'precomputed', 'linkage': 'average', 'n_clusters': None}
    clustering = import_optional('sklearn.cluster').AgglomerativeClustering(
        distance_threshold=np.nextafter(1 - overlap, 2), **options
    )
    return clustering.fit_predict(apart)


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
