"""Average linkage of things of which most have nothing in common: the groups of the dense method, in less memory."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm


def join(apart: Sequence[dict[int, float]], limit: float) -> NDArray[np.int64]:
    """Joins the two groups that are nearest, by the mean over their pairs, while that is at most a limit.

    The chain of nearest neighbours (Murtagh, 1983) in the order of SciPy's `linkage`, so that ties fall alike; what
    is not told is 1 apart.

    Args:
        apart: of each of n things those that are nearer to it than 1, and how far they are; each pair in both. It is
            used up.
        limit: below 1.

    Returns:
        (n,), the group of each, from 0 on.

    Example:
        >>> join([{1: 0.2}, {0: 0.2, 2: 0.9}, {1: 0.9}], 0.5)
        array([0, 0, 1])
    """
    total = len(apart)
    sizes = [1] * total
    into = np.arange(total)  # a thing of the group that each was joined to
    chain: list[int] = []
    first = 0
    bar = tqdm(total=total, desc='Joining crops', delay=2, leave=False)
    while True:
        if not chain:
            while first < total and not (sizes[first] and apart[first]):
                first += 1
            if first == total:
                break
            chain.append(first)
        one, other, distance = _pair(apart, chain)
        if distance >= 1:  # nothing is near what is left of this thing
            sizes[chain.pop()] = 0
            continue
        del chain[-2:]
        one, other = sorted((one, other))
        if distance <= limit:
            into[one] = other
        _merge(apart, sizes, one, other)
        bar.update()
    bar.close()
    for thing in range(total - 1, -1, -1):  # each was joined to one after it
        into[thing] = into[into[thing]]
    return np.unique(into, return_inverse=True)[1].astype(np.int64)


def _pair(apart: Sequence[dict[int, float]], chain: list[int]) -> tuple[int, int, float]:
    """Follows the chain, which grows, to two that are each other's nearest; of equals the one before, or the first."""
    while True:
        last = chain[-1]
        own = apart[last]
        before = chain[-2] if len(chain) > 1 else -1
        least = own.get(before, 1.0)
        nearest = min(own.values(), default=1.0)
        if nearest >= least:
            return last, before, least
        chain.append(min(other for other, distance in own.items() if distance == nearest))


def _merge(apart: Sequence[dict[int, float]], sizes: list[int], one: int, other: int) -> None:
    """Makes one group of two, under the second's number."""
    mine, kept = apart[one], apart[other]
    few, many = sizes[one], sizes[other]
    mine.pop(other)
    kept.pop(one)
    for third in mine.keys() | kept.keys():
        distance = (few * mine.get(third, 1.0) + many * kept.get(third, 1.0)) / (few + many)
        row = apart[third]
        row.pop(one, None)
        if distance < 1:
            kept[third] = row[other] = distance
        else:  # by rounding
            kept.pop(third, None)
            row.pop(other, None)
    sizes[one], sizes[other] = 0, few + many
    mine.clear()
