"""torchreid's evaluation: CMC and mAP to its last digit without its inner loop, and what a test measured."""

import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import numpy as np
from torchreid import metrics

from ..runtime import processes
from ..runtime.errors import UserError


def _hits(distances: np.ndarray, is_person: np.ndarray, is_junk: np.ndarray) -> np.ndarray:
    """Places, from 0 on, of a query's valid matches in its ranking, from which its junk images are left out.

    Args:
        distances: (G,).
        is_person: (G,) bool, which gallery images show the query's person.
        is_junk: (G,) bool, which of these are from the query's camera.
    """
    order = np.argsort(distances)  # of the host's kind, so that ties fall alike
    places = np.flatnonzero(is_person[order])
    junk = is_junk[order[places]]
    return (places - np.cumsum(junk))[~junk]


def _average_precision(hits: np.ndarray, length: int) -> float:
    """Mean over a query's n matches of the precision at each: hits (n,) in a ranking of `length` images.

    The zeros between them are summed too: NumPy's sum adds in an order that depends on the length.
    """
    precisions = np.zeros(length)
    precisions[hits] = np.arange(1, len(hits) + 1) / (hits + 1.0)
    return precisions.sum() / len(hits)


def fast_rank(
    distmat: np.ndarray,
    q_pids: np.ndarray,
    g_pids: np.ndarray,
    q_camids: np.ndarray,
    g_camids: np.ndarray,
    max_rank: int = 50,
) -> tuple[np.ndarray, float]:
    """Evaluates by Market-1501's protocol: a query's images of its own person and camera do not count.

    Args:
        distmat: (Q, G), distances between query and gallery images.
        q_pids, g_pids: (Q,) and (G,), who is on them.
        q_camids, g_camids: (Q,) and (G,), which camera took them.
        max_rank: length of the CMC curve, less where the gallery is smaller.

    Returns:
        The CMC curve, (max_rank,) float32, and the mAP: means over the queries that have a match, fractions.

    Raises:
        AssertionError: if no query has a match, as in torchreid.

    Example:
        >>> distances = np.array([[0.1, 0.3, 0.2]])
        >>> fast_rank(distances, np.array([7]), np.array([7, 7, 8]), np.array([0]), np.array([0, 1, 1]), max_rank=2)
        (array([0., 1.], dtype=float32), np.float64(0.5))
    """
    size = len(g_pids)
    if size < max_rank:
        max_rank = size
        print(f'Note: number of gallery samples is quite small, got {size}')

    def evaluate(query: int) -> tuple[float, int, int] | None:
        """Average precision, place of the first match and length of the ranking; None without a match."""
        is_person = g_pids == q_pids[query]
        is_junk = is_person & (g_camids == q_camids[query])
        hits = _hits(distmat[query], is_person, is_junk)
        length = size - np.count_nonzero(is_junk)
        return (_average_precision(hits, length), hits[0], length) if len(hits) else None

    with ThreadPoolExecutor(os.cpu_count()) as threads:  # NumPy sorts outside of Python's global lock
        found = [one for one in threads.map(evaluate, range(len(q_pids))) if one is not None]
    if not found:
        raise AssertionError('Error: all query identities do not appear in gallery')
    precisions, firsts, lengths = zip(*found)
    # A ranking without its junk may be shorter than the curve: its curve, at 1 by then, stays there.
    curve = np.bincount(firsts, minlength=max_rank).cumsum()[: min(max_rank, max(lengths))]
    return curve.astype(np.float32) / np.float32(len(found)), np.mean(precisions)


def untold(line: str) -> str:
    """torchreid's line of a rank that a gallery is too small for, in words; any other as it is.

    Example:
        >>> untold('Rank-5  : nan%')
        'Rank-5  : too few images in the gallery'
    """
    told = line.startswith('Rank-') and line.endswith(' nan%')
    return f'{line.removesuffix(" nan%")} too few images in the gallery' if told else line


@contextmanager
def recorded_results(
    fast: bool = False, ranked: Callable[[int, np.ndarray], None] = lambda *_: None
) -> Iterator[list[dict[str, float]]]:
    """Collects what torchreid's evaluation measures; `Engine.test` returns the last data set's Rank-1 only.

    Args:
        fast: rank by `fast_rank`, the numbers of torchreid's Python evaluation in a fraction of its time.
        ranked: is called by the first process before a data set is evaluated, with its number and its distances (Q, G).

    Raises:
        UserError: for distances that are not finite, which torchreid ranks as they come.

    Yields:
        A list that grows by `{'mAP', 'rank1', 'rank5', 'rank10'}`, fractions, a test data set, without the ranks that
        its gallery is too small for: among the first 5 of 5 images everybody is found.
    """
    results = []
    evaluate_rank = metrics.evaluate_rank

    def evaluate(*args, use_metric_cuhk03=False, **options):
        if use_metric_cuhk03:  # draws from the gallery at random, which is left to torchreid
            return evaluate_rank(*args, use_metric_cuhk03=True, **options)
        if not fast:
            # torchreid cannot stack curves that end before rank 50, one earlier than another.
            with suppress(ValueError):
                return evaluate_rank(*args, **options)
        options.pop('use_cython', None)
        return fast_rank(*args, **options)

    @functools.wraps(evaluate_rank)
    def record(*args, **kwargs):
        if not np.isfinite(args[0]).all():
            raise UserError(
                'the distances of a test are not finite, as the weights of the model have run away: lower train.lr, or '
                'take an earlier checkpoint'
            )
        if processes.is_first():
            ranked(len(results), args[0])
        # One process ranks for all.
        cmc, mean_ap = processes.from_first(evaluate(*args, **kwargs) if processes.is_first() else None)
        # With fewer gallery images torchreid's curve is shorter, and its report fails: a curve stays at its end.
        cmc = np.pad(cmc, (0, max(0, 50 - len(cmc))), mode='edge')
        images = args[0].shape[1]
        cmc[max(1, images - 1) :] = np.nan  # what torchreid reports of it is said in words, see `untold`
        ranks = [rank for rank in (1, 5, 10) if np.isfinite(cmc[rank - 1])]
        results.append({'mAP': float(mean_ap), **{f'rank{rank}': float(cmc[rank - 1]) for rank in ranks}})
        return cmc, mean_ap

    metrics.evaluate_rank = record
    try:
        yield results
    finally:
        metrics.evaluate_rank = evaluate_rank
