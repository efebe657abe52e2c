"""A bad input as data, and the words that cases of several groups use."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

SOFTMAX = 'model.name osnet_x0_25 loss.name softmax --transforms random_flip'  # torchreid's own job
CANARY = "!!python/object/apply:os.mkdir ['HERE/executed']"
OWN = '--root HERE/reid-data '  # the data set, changed by `prepare`
TWO = 'train.max_epoch 2 '
AUTO = f'{TWO} model.resume auto'
# What a run leaves that got to its training
RAN = r'\.lock|train\.log.*|config\.yaml|events\..*|history\.json|results\.json|signs\.json|model'


def nothing(*arguments) -> None:
    """Neither files to prepare nor a limit."""


class Case(NamedTuple):
    """A bad input.

    Attributes:
        about: what is bad, for the table.
        words: the command line after BASE.
        expected: what standard error says; where the run goes to its end, what it prints. A regular expression.
        status: the exit status.
        prepare: makes the files of the case in its folder.
        limit: called in the run's process, with the case's folder, before it starts.
        writes: what the run may make or change in data.save_dir, a regular expression.
    """

    about: str
    words: str
    expected: str
    status: int = 2
    prepare: Callable[[Path], object] = nothing
    limit: Callable[[Path], object] = nothing
    writes: str = r'(train|test)\.log.*|config(_test)?\.yaml|\.lock'


def ends_well(about: str, words: str, expected: str, **options) -> Case:
    """An input that is odd but good: the run goes to its end."""
    return Case(about, words, expected, **{'status': 0, 'writes': '.*', **options})
