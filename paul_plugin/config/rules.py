"""The rules for a key's value, each in words and as a test: a choice, a range, a list, a list of names."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..runtime.errors import nearest, show

_LARGEST = 3e38  # of a number that torch computes with, in float32


def complaint(key: str, value: object, way_out: str) -> str:
    """`KEY = VALUE: what it must be`."""
    return f'{key} = {show(value)}: {way_out}'


@dataclass(frozen=True)
class Choice:
    """One of several names."""

    names: tuple[str, ...]

    @property
    def words(self) -> str:
        return f'one of {", ".join(self.names)}'

    def errors(self, key: str, value: str) -> Iterator[str]:
        if value not in self.names:
            yield complaint(key, value, f'must be {self.words}{nearest(value, self.names)}')


@dataclass(frozen=True)
class Range:
    """A number within bounds; inf, nan and what float32 cannot hold are in no range.

    Attributes:
        words: the bounds, to be read after `must be`.
        test: whether a finite number is within them.
        word: what may stand in the place of a number; '' for none.
    """

    words: str
    test: Callable[[float], bool]
    word: str = ''

    def errors(self, key: str, value: float | str) -> Iterator[str]:
        if self.word and value == self.word:
            return
        if not (abs(value) <= _LARGEST and self.test(value)):
            finite = ', finite in float32' if isinstance(value, float) else ''
            yield complaint(key, value, f'must be {self.words}{finite}{or_word(self)}')


@dataclass(frozen=True)
class Listing:
    """A list of a certain length or content; inf and nan are in none.

    Attributes:
        words: what it is like, to be read after `must` and the verb.
        test: whether a list without inf or nan is like that.
        verb: `be`, or what fits the words better.
    """

    words: str
    test: Callable[[list], object]
    verb: str = 'be'

    def errors(self, key: str, value: list) -> Iterator[str]:
        numbers = [item for item in value if isinstance(item, float)]
        if not (all(map(math.isfinite, numbers)) and self.test(value)):
            yield complaint(key, value, f'must {self.verb} {self.words}')


@dataclass(frozen=True)
class Names:
    """A list of names in any case, of which each wrong one is told by itself."""

    names: tuple[str, ...]

    @property
    def words(self) -> str:
        return f'of {", ".join(self.names)}'

    def unknown(self, value: list[str]) -> list[str]:
        """The wrong ones, in lower case."""
        return [name for name in map(str.lower, value) if name not in self.names]

    def errors(self, key: str, value: list[str]) -> Iterator[str]:
        for name in self.unknown(value):
            yield complaint(key, name, f'must be {self.words}{nearest(name, self.names)}')


KINDS = (Choice, Range, Listing, Names)  # in the order in which their complaints are told
Rule = Choice | Range | Listing | Names


def or_word(rule: Rule | None) -> str:
    """`, or WORD` for a rule of numbers that allows a word; '' for any other."""
    word = getattr(rule, 'word', '')
    return word and f', or {word}'


def one_of(*names: str) -> Choice:
    return Choice(names)


def at_least(low: int, word: str = '') -> Range:
    return Range(f'at least {low}', lambda x: x >= low, word)


def above(low: float, word: str = '') -> Range:
    return Range(f'above {low}', lambda x: x > low, word)


def from_to(low: float, high: float) -> Range:
    return Range(f'from {low} to {high}', lambda x: low <= x <= high)


ANY_NUMBER = Range('a number', lambda x: True)
SHARE_ABOVE_0 = Range('above 0 and at most 1', lambda x: 0 < x <= 1)
SHARE_BELOW_1 = Range('from 0 to below 1', lambda x: 0 <= x < 1)
# Bounds that no sensible value reaches: beyond them the machine stands still before any error comes.
PROCESSES = Range('at least 0 and at most 1000', lambda x: 0 <= x <= 1000)
SIZE = Range('at least 1 and at most 10000', lambda x: 1 <= x <= 10_000)
LARGEST_SEED = 2**32 - 1  # NumPy's
SEED = from_to(0, LARGEST_SEED)
SEED_OR_NONE = Range(f'-1, or {SEED.words}', lambda x: -1 <= x <= LARGEST_SEED)
DATA_SETS = Listing('at least one data set', bool, verb='name')
THREE_NUMBERS = Listing('3 numbers', lambda x: len(x) == 3)
THREE_ABOVE_0 = Listing('3 numbers above 0.000001', lambda x: len(x) == 3 and min(x) > 1e-6)
EPOCHS = Listing('epochs, at least 1', lambda x: x and min(x) >= 1)
RANKS = Listing('ranks from 1 to 50', lambda x: x and min(x) > 0 and max(x) <= 50)  # torchreid's CMC curve ends at 50
SHARES = Listing('two shares, 0 < low <= high <= 1', lambda x: len(x) == 2 and 0 < x[0] <= x[1] <= 1)


def some_of(names: tuple[str, ...]) -> Listing:
    return Listing(f'of {", ".join(names)}', lambda x: set(x) <= set(names))


def why_no_camera_pattern(text: str) -> str:
    """What is wrong with a regular expression that is to find a camera's name; nothing where it can be used."""
    try:
        groups = re.compile(text).groups
    except (re.error, OverflowError, RecursionError) as error:
        return f'is no regular expression ({error})'
    return '' if groups == 1 else f"must have one group, (...), which holds the camera's name, not {groups}"
