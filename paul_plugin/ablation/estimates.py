"""How long runs will take: as long as finished ones that are like them."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from .plan import OF_TRANSFER, RECORD, Run, read_record


class Estimates:
    """Estimates of runs' seconds.

    Args:
        out: the folder of the results, whose finished runs are known.

    Example:
        >>> Estimates(Path('log/ablation')).told(plan.pending(), jobs=1)
        '2 h 40 min'
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.known: dict[str, list[float]] = {}
        self.update()

    def update(self) -> None:
        """Reads what the finished runs took."""
        self.known = {}
        for path in self.out.glob(f'runs/*/*/{RECORD}'):
            record = read_record(path.parent)
            if record.get('finished') and {'identity', 'seconds'} <= record.keys():
                self.known.setdefault(_like(record['identity']), []).append(record['seconds'])

    def seconds(self, run: Run) -> float | None:
        """The mean of finished runs that are like this one; None where there is none yet."""
        known = self.known.get(_like(run.identity))
        return mean(known) if known else None

    def told(self, runs: Sequence[Run], jobs: int) -> str:
        """How long so many runs at once will take, in words; of those whose kind has not ended yet only how many."""
        seconds = [self.seconds(run) for run in runs]
        known = [each for each in seconds if each is not None]
        new = len(seconds) - len(known)
        parts = [in_words(sum(known) / jobs)] * bool(known or not new)
        parts += [f'{new} of a kind that has not ended yet'] * bool(new)
        return ' and '.join(parts)


def in_words(seconds: float) -> str:
    """A duration to two places.

    Example:
        >>> in_words(4320)
        '1 h 12 min'
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f'{minutes // 60} h {minutes % 60} min'
    return f'{minutes} min {rest} s' if minutes else f'{rest} s'


def _like(identity: dict[str, object]) -> str:
    """What a run's time depends on, of its identity: not the numbers of the method, but the model's size."""
    no_matter = {'train.lr', 'model.load_weights', *(() if identity.get('test.evaluate') else ('pretraining',))}
    kept = {
        key: value
        for key, value in identity.items()
        if key not in no_matter and (not key.startswith('paul.') or key in OF_TRANSFER)
    }
    return json.dumps(kept, sort_keys=True)
