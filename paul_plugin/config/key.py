"""A key of a run: its name, default, rule, and the marks of what depends on it."""

import enum
from typing import NamedTuple

from . import rules


class Mark(enum.Flag):
    """What else is known of a key."""

    # It changes where a run happens, what it reports or how long it goes on, but not what it computes: another value
    # is followed when a run is resumed. Any other changed key is refused.
    FREE = enum.auto()
    # It changes no result: two runs that differ by it share a place in the ablation. Not all free keys are such, as
    # max_epoch shows; and the seed is one, as each seed has a folder of its own.
    SAME = enum.auto()
    STAGE = enum.auto()  # the pre-training stage takes it over from the run
    TRANSFER = enum.auto()  # the direct transfer depends on it, beside the pre-training
    WEIGHTS = enum.auto()  # other weights to start from belong to another value of it


class Key(NamedTuple):
    """A key of the configuration.

    Attributes:
        name: the full one, `train.lr`.
        default: its type is that of all values.
        about: what it is, for the printed list.
        allowed: the rule for its value; None where any value of the type will do, or `checks` has more to say.
        marks: what else is known of it.
    """

    name: str
    default: object
    about: str
    allowed: rules.Rule | None = None
    marks: Mark = Mark(0)
