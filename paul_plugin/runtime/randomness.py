"""Random numbers as functions of the seed, the epoch and the image, and the generators' states as plain data."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

# Second number of a key, after the seed: what the random numbers are for.
ORDER, AUGMENTATION, TRAINING, FILL_ORDER, FILL, PICTURES, CENTRING, NORMS = range(8)


def get_states() -> dict:
    """The states of Python's, NumPy's and torch's generators, without any class of theirs."""
    name, keys, *rest = np.random.get_state()
    states = {'python': random.getstate(), 'numpy': (name, keys.tolist(), *rest), 'torch': torch.get_rng_state()}
    if torch.cuda.is_initialized():
        states['cuda'] = torch.cuda.get_rng_state_all()
    return states


def set_states(states: dict) -> None:
    """Takes back what `get_states` gave; a GPU's state is left out where there are fewer GPUs."""
    random.setstate(states['python'])
    name, keys, *rest = states['numpy']
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(states['torch'])
    for device, state in enumerate(states.get('cuda', ())[: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(state, device)


def seed_all(*key: int) -> None:
    """Seeds the generators by a key of integers, at least 0; different keys give unrelated numbers."""
    python, numpy, for_torch = np.random.SeedSequence(key).generate_state(3, np.uint64).tolist()
    random.seed(python)
    np.random.seed(numpy % 2**32)
    torch.random.default_generator.manual_seed(for_torch % 2**63)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(for_torch % 2**63)


@contextmanager
def seeded(*key: int) -> Iterator[None]:
    """Runs a block with generators of its own; those outside go on as if it had not been.

    Example:
        >>> with seeded(1, 0):
        ...     order = torch.randperm(5)
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        seed_all(*key)
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
