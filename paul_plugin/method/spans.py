"""The rows of each camera in a memory bank that is sorted by camera."""

from collections.abc import Sequence
from itertools import accumulate


def spans_of(counts: Sequence[int], whose: str) -> list[tuple[int, int]]:
    """The rows of each camera, [first, last).

    Args:
        counts: rows of each camera.
        whose: whose counts they are, for the message.

    Raises:
        ValueError: without a camera, or for one without a row.

    Example:
        >>> spans_of([2, 3], 'CameraPEDALLoss')
        [(0, 2), (2, 5)]
    """
    if not counts or min(counts) < 1:
        raise ValueError(f'{whose}: each camera must have a row, got counts={list(counts)}')
    ends = list(accumulate(counts))
    return [(end - count, end) for count, end in zip(counts, ends, strict=True)]


def held(start: int, end: int, first: int, size: int) -> slice:
    """The part of a camera's rows, [start, end), that a shard holds, in the shard's own numbers; it may be empty.

    Args:
        start, end: in the whole bank.
        first: the row of the whole bank that is the shard's first.
        size: rows of the shard.
    """
    return slice(min(max(start - first, 0), size), min(max(end - first, 0), size))
