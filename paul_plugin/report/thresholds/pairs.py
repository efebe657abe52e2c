"""How far apart a model holds people: distances of the same and of different persons, thresholds between them, ROC."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SHARES = (0.001, 0.01, 0.05)  # of pairs of different persons that are accepted: what a threshold is chosen by


class Pairs(NamedTuple):
    """Distances of pairs of images by two cameras, sorted: of the same person, (S,), and of different ones, (D,)."""

    same: NDArray[np.float32]
    different: NDArray[np.float32]


class Threshold(NamedTuple):
    """A threshold: a pair that is nearer is taken for one person.

    Attributes:
        asked: the share of different pairs that it may accept.
        threshold: the distance itself, the largest that accepts no more; None, as the next two, of too few pairs.
        different: the share of different pairs that are nearer.
        same: the share of same pairs that are nearer, which it finds.
        pairs: the different pairs that it is chosen by.
        needed: how many those must be, one to be accepted and the rest of its share.
    """

    asked: float
    threshold: float | None
    different: float | None
    same: float | None
    pairs: int
    needed: int

    def lack(self) -> str:
        """Why there is none."""
        return f'too few pairs: {self.pairs} of {self.needed}'


def split_pairs(matrix: NDArray[np.float32], queries: Sequence[tuple], gallery: Sequence[tuple]) -> Pairs:
    """The pairs of a query and a gallery image that two cameras took.

    Those of the same person are the ones that torchreid's evaluation looks for: it leaves out, as junk, a query's own
    person from its own camera. Those of different persons from one camera count there; here they do not, so that the
    two kinds differ by the person alone.

    Args:
        matrix: (Q, G), their distances.
        queries, gallery: torchreid's items, (path, pid, camid, ...).
    """
    pids, camids = ([np.array([item[place] for item in items]) for items in (queries, gallery)] for place in (1, 2))
    others = camids[0][:, None] != camids[1]
    people = pids[0][:, None] == pids[1]
    # By rounding, an image is a little less than nothing away from itself.
    return Pairs(*(np.sort(matrix[others & which].clip(min=0)) for which in (people, ~people)))


def thresholds(pairs: Pairs, shares: Sequence[float] = SHARES) -> list[Threshold]:
    """For each share of different pairs that may be accepted the threshold, and what it finds.

    A share is told by at least one pair: 0.1 % of 6 pairs would be the nearest of them, whatever it is.

    Args:
        pairs: at least one of each kind.
        shares: from 0, which needs one pair, to below 1.

    Example:
        >>> thresholds(Pairs(np.array([0.1, 0.5]), np.array([0.3, 0.4, 0.6, 0.7])), [0.25])
        [Threshold(asked=0.25, threshold=0.4, different=0.25, same=0.5, pairs=4, needed=4)]
    """
    found = []
    total = len(pairs.different)
    for share in shares:
        needed = math.ceil(round(1 / share, 6)) if share else 1
        if total < needed:
            found.append(Threshold(share, None, None, None, total, needed))
            continue
        distance = pairs.different[int(share * total)]
        different, same = (float(np.searchsorted(each, distance)) / len(each) for each in (pairs.different, pairs.same))
        found.append(Threshold(share, float(distance), different, same, total, needed))
    return found


def roc(pairs: Pairs, points: int = 500) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ROC curve at so many of its steps: shares of different pairs accepted, and of same pairs found.

    The threshold goes through the distances of the same pairs, each of which is then just found.
    """
    places = np.unique(np.linspace(0, len(pairs.same) - 1, min(points, len(pairs.same))).round().astype(int))
    at = pairs.same[places]
    accepted = [np.searchsorted(each, at, 'right') / len(each) for each in (pairs.different, pairs.same)]
    return accepted[0], accepted[1]
