"""What torchreid tells while it trains and tests: an estimate of the time left, and a bar where there was silence."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from torch.utils.data import DataLoader
from torchreid import engine, utils
from tqdm import tqdm

from ..runtime import processes
from . import module_of

FINAL_TEST = '=> Final test'
_SECONDS = 2  # that a stage takes before its bar is shown


class RunMeter(utils.AverageMeter):
    """An average over the steps of a run, where torchreid's meters begin anew in each epoch.

    torchreid estimates the time that is left from the mean of this epoch's steps: from a single one, the slowest as a
    rule, where an epoch begins.

    Attributes:
        ahead: so many of the next values are those of steps that a resumed run passes over, and do not count.
        passes_over: whether the last value was such a one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0
        self.passes_over = False

    def update(self, val: float, n: int = 1) -> None:
        self.passes_over = self.ahead > 0
        if self.passes_over:
            self.ahead -= 1
        else:
            super().update(val, n)


@contextmanager
def timed_by(meters: Sequence[RunMeter]) -> Iterator[None]:
    """Within it torchreid's training loop, which makes its meters of time itself, gets these, in its order."""
    module = module_of(engine.Engine)
    made, given = module.AverageMeter, iter(meters)
    module.AverageMeter = lambda: next(given)
    try:
        yield
    finally:
        module.AverageMeter = made


@contextmanager
def telling(edit: Callable[[str], str | None]) -> Iterator[None]:
    """Within it torchreid's engines print a line as `edit` gives it back, or not at all: some of theirs are not true.

    Their functions take `print` as a name of their module, before Python's own.
    """
    module = module_of(engine.Engine)
    before = module.__dict__.get('print', print)

    def tell(line: str) -> None:
        told = edit(line)
        if told is not None:
            before(told)

    module.print = tell
    try:
        yield
    finally:
        module.print = before


def without_times(line: str) -> str:
    """A line of progress without what it says of time.

    Example:
        >>> without_times('epoch: [1/2][3/9]\ttime 0.0 (0.0)\tdata 0.0 (0.0)\teta 0:00:00\tloss 1.5 (1.6)')
        'epoch: [1/2][3/9]\tloss 1.5 (1.6)'
    """
    return '\t'.join(part for part in line.split('\t') if not part.startswith(('time ', 'data ', 'eta ')))


def bar(items: Iterable, words: str, unit: str, total: int | None = None) -> tqdm:
    """Items with a bar once they have been read for some seconds, on a terminal and by the first process alone.

    A file that stderr goes to gets no bar.

    Args:
        items: what is gone through.
        words: what stands before the bar.
        unit: of an item, after a blank.
        total: how many, of items without a length.
    """
    quiet = None if processes.is_first() else True  # None: where stderr is no terminal
    return tqdm(items, words, total, unit=unit, leave=False, delay=_SECONDS, disable=quiet)


class Shown:
    """A loader that shows a bar: torchreid's test says nothing while it describes a gallery.

    Args:
        loader: with a length.
        words: what stands before the bar.
    """

    def __init__(self, loader: DataLoader, words: str) -> None:
        self.loader = loader
        self.words = words

    def __iter__(self) -> Iterator:
        return iter(bar(self.loader, self.words, ' batches'))
