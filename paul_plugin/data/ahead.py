"""Reads the next batch in a thread while the one before is used: decoding lets other threads compute."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar('Item')


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Gives the same items in the same order, one of them made beside; an error comes where its item would.

    Example:
        >>> for batch in ahead(loader):
        ...     network(batch)
    """
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1, 'reads-ahead') as pool:
        coming = pool.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, iterator, end)
            yield item
