"""The random streams of a domain: one for each purpose and thing, so that nothing depends on what else is drawn."""

from enum import IntEnum

import numpy as np

from .domains import Domain


class Stream(IntEnum):
    """What a stream is for. The numbers decide every pixel: a new purpose takes a new one."""

    WARDROBE = 1
    PEOPLE = 2
    PLAN = 3  # which cameras see a person
    CAMERA = 4
    IMAGE = 5


def random_stream(domain: Domain, seed: int, purpose: Stream, *key: int) -> np.random.Generator:
    """The random numbers of one thing, always from their start.

    Args:
        domain: tells the streams of the domains apart by its `index`.
        seed: of the data set, 0..2**32-1.
        purpose: what they are for.
        key: which thing it is, such as the number of a camera.
    """
    return np.random.default_rng(np.random.SeedSequence((domain.index, seed, int(purpose), *key)))
