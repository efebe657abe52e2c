"""Where equal keys stand in a list: which images are of one camera, or go through one network."""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import TypeVar

Key = TypeVar('Key', bound=Hashable)


def places_of(keys: Iterable[Key]) -> dict[Key, list[int]]:
    """Each key, in the order in which it comes first, and its places.

    Example:
        >>> places_of(['gate', 'yard', 'gate'])
        {'gate': [0, 2], 'yard': [1]}
    """
    places: dict[Key, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        places[key].append(place)
    return dict(places)
