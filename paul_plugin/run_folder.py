"""Reads what a run leaves in its folder beside the checkpoints: the numbers of its epochs and of its tests."""

import json
import math
from pathlib import Path
from typing import NamedTuple

from .errors import UserError

# What a run writes -> its title and the factor that it is shown with, in the order of the report and the curves.
_QUANTITIES = {
    'mAP': ('mAP, %', 100),
    'rank1': ('Rank-1, %', 100),
    'loss': ('Loss', 1),
    'pedal': ('PEDAL', 1),
    'ipfl': ('IPFL', 1),
    'loss_x': ('Cross entropy', 1),
    'loss_t': ('Triplet loss', 1),
    'acc': ('Training accuracy, %', 1),
    'mined': ('Anchors with a mined negative, %', 100),
    'cosine': ('Mean cosine in the memory bank', 1),
    'lr': ('Learning rate', 1),
}


class RunFolder(NamedTuple):
    """What a run wrote.

    Attributes:
        history: the epochs that are done, each `{'epoch', 'lr', losses, 'mAP', 'rank1'}`; the last two where a test was
            made, of the first data set, fractions.
        results: stage -> data set -> `{'mAP', 'rank1', ...}`, fractions; a data set alone is called ''.
    """

    history: list[dict[str, float]]
    results: dict[str, dict[str, dict[str, float]]]


def read_run(path: str | Path) -> RunFolder:
    """Reads history.json and results.json of a run's folder; a file that is not there or damaged gives nothing.

    Raises:
        UserError: if there is no such folder.

    Example:
        >>> read_run('log/paul_synthetic').results['adapted']['']['mAP']
        0.7034116163687516
    """
    path = Path(path)
    if not path.is_dir():
        raise UserError(f'no run at {path}: name the folder of a run (its data.save_dir)')
    return RunFolder(history_of(_read(path / 'history.json')), _results_of(_read(path / 'results.json')))


def history_of(value: object) -> list[dict[str, float]]:
    """The epochs of a history as a file or a checkpoint holds it: their finite numbers, and nothing else."""
    entries = map(_numbers, value if isinstance(value, list) else [])
    return [entry for entry in entries if 'epoch' in entry]


def quantities(history: list[dict[str, float]]) -> list[str]:
    """The names of the numbers in a history, the epoch's own left out: known ones first, in a fixed order."""
    found = dict.fromkeys(name for entry in history for name in entry if name != 'epoch')
    return [name for name in _QUANTITIES if name in found] + [name for name in found if name not in _QUANTITIES]


def describe(quantity: str) -> tuple[str, float]:
    """A quantity's title and the factor that it is shown with.

    Example:
        >>> describe('mAP')
        ('mAP, %', 100)
    """
    return _QUANTITIES.get(quantity, (quantity, 1))


def _read(path: Path) -> object:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError) as error:
        print(f'warning: {path} is passed over, it cannot be read ({" ".join(str(error).split())[:100]})')
        return None


def _numbers(value: object) -> dict[str, float]:
    items = value.items() if isinstance(value, dict) else ()
    return {name: number for name, number in items if type(number) in (int, float) and math.isfinite(number)}


def _results_of(value: object) -> dict[str, dict[str, dict[str, float]]]:
    """What `job.write_results` wrote, always with the level of data sets."""
    results = {}
    for stage, tests in (value if isinstance(value, dict) else {}).items():
        by_name = {'': tests} if _numbers(tests) else tests
        measured = {name: _numbers(test) for name, test in by_name.items()} if isinstance(by_name, dict) else {}
        results[stage] = {name: numbers for name, numbers in measured.items() if numbers}
    return {stage: tests for stage, tests in results.items() if tests}
