"""What the runs of a table found: mean and standard deviation over the seeds, as CSV and as Markdown."""

import statistics
from typing import NamedTuple

from ..runtime.csv_text import csv_text
from .plan import METRICS, Plan, read_record


class Measurement(NamedTuple):
    """What one run found on one target.

    Attributes:
        found: metric -> fraction.
        transfer: the same of the model that it started from; None where that was not measured.
        seconds: that all processes of the run took; None where one was killed without a note of it.
        software: the versions that it was made with.
    """

    row: str
    seed: int
    target: str
    found: dict[str, float]
    transfer: dict[str, float] | None
    seconds: float | None
    software: str


def measurements(plan: Plan) -> list[Measurement]:
    """Of the finished runs, row by row."""
    found = []
    for row in plan.table.rows:
        for seed in plan.seeds:
            run = plan.cells[row.name, seed]
            results = run.results() if run.finished() else {}
            transfer = results.get('direct_transfer', {})
            record = read_record(run.folder)
            seconds = record.get('seconds') if record.get('finished') else None
            software = ', '.join(f'{name} {version}' for name, version in record['software'].items())
            for target, of in results.get(run.wanted, {}).items():
                found.append(Measurement(row.name, seed, target, of, transfer.get(target), seconds, software))
    return found


def mean_and_deviation(values: list[float]) -> tuple[float, float | None]:
    """The mean and the sample standard deviation, which a single value does not have.

    Example:
        >>> mean_and_deviation([1.0, 2.0, 6.0])
        (3.0, 2.6457513110645907)
    """
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None


def per_cent(values: list[float]) -> str:
    """Fractions as `MEAN ± DEVIATION` in per cent; `-` for none.

    Example:
        >>> per_cent([0.5, 0.6])
        '55.0 ± 7.1'
    """
    if not values:
        return '-'
    mean, deviation = mean_and_deviation(values)
    return f'{100 * mean:.1f}' if deviation is None else f'{100 * mean:.1f} ± {100 * deviation:.1f}'


def as_csv(found: list[Measurement]) -> str:
    """One line a row, seed and target; fractions, and seconds."""
    rows = [['row', 'seed', *METRICS, 'seconds', 'target', 'direct_transfer_mAP', 'direct_transfer_rank1']]
    for one in found:
        transfer = [(one.transfer or {}).get(metric, '') for metric in ('mAP', 'rank1')]
        metrics = [one.found.get(metric, '') for metric in METRICS]  # no rank of a gallery that is too small for it
        seconds = '' if one.seconds is None else round(one.seconds, 1)
        rows.append([one.row, one.seed, *metrics, seconds, one.target, *transfer])
    return csv_text(rows)


def as_markdown(plan: Plan, found: list[Measurement], command: str) -> str:
    """A table for each target, and what it was made by.

    Args:
        plan: of the table.
        found: its measurements.
        command: the command line that makes the table.
    """
    seeds = ', '.join(map(str, plan.seeds))
    lines = [f'# {plan.table.title}']
    for target in next(iter(plan.cells.values())).cfg.data.targets:
        lines += ['', f'## {target}', '']
        lines.append(f'| row | seeds | mAP | Rank-1 | mAP of the direct transfer | mAP of seed {seeds} |')
        lines.append('| --- | --- | --- | --- | --- | --- |')
        for row in plan.table.rows:
            of_row = {one.seed: one for one in found if (one.row, one.target) == (row.name, target)}
            maps, ranks = ([one.found[metric] for one in of_row.values()] for metric in ('mAP', 'rank1'))
            transfers = [one.transfer['mAP'] for one in of_row.values() if one.transfer]
            single = [per_cent([of_row[seed].found['mAP']] if seed in of_row else []) for seed in plan.seeds]
            cells = [row.name, str(len(of_row)), *map(per_cent, (maps, ranks, transfers)), ', '.join(single)]
            lines.append(f'| {" | ".join(cells)} |')
    software = '; '.join(dict.fromkeys(one.software for one in found))
    lines += [
        '',
        f'Per cent; mean ± sample standard deviation over the seeds that are done, of {len(plan.seeds)}.',
        f'Made with {software or "nothing yet"} by',
        '',
        f'    {command}',
        '',
    ]
    return '\n'.join(lines)
