"""Shows a table's plan, makes the runs that are pending, and writes the table after each."""

import sys
from pathlib import Path

from ..runtime import stopping
from ..runtime.errors import printable
from ..runtime.files import write_atomically
from .estimates import Estimates
from .plan import Plan, Run
from .plot import draw
from .report import as_csv, as_markdown, measurements, per_cent
from .runs import OUTPUT, make_runs


def show_plan(plan: Plan, out: Path, jobs: int) -> Estimates:
    """Prints the grid of rows and seeds, which of the runs are done, and how long the others will take."""
    pending = {run.folder for run in plan.pending()}
    wide = 2 + max(len(row.name) for row in plan.table.rows)
    print(f'Table {plan.table.name}, in {printable(out)}')
    print(f'{"row":{wide}}' + ''.join(f'{f"seed {seed}":>14}' for seed in plan.seeds))
    for row in plan.table.rows:
        states = []
        for seed in plan.seeds:
            run = plan.cells[row.name, seed]
            begun = 'begun' if (run.folder / 'model').exists() else 'to do'
            states.append('done' if run.finished() else begun if run.folder in pending else '-')
        print(f'{row.name:{wide}}' + ''.join(f'{state:>14}' for state in states))
    shown = {run.folder for run in plan.cells.values()}
    for run in plan.pending():
        if run.folder not in shown:
            print(f'and {run.name}')
    estimates = Estimates(out)
    runs = plan.pending()
    told = f'{len(runs)} runs, {jobs} at once; time: {estimates.told(runs, jobs)}'
    print(f'To do: {told}' if runs else 'All of them are done.')
    return estimates


def write_report(plan: Plan, out: Path, called: str) -> str:
    """Writes the table in its three forms; returns the Markdown."""
    found = measurements(plan)
    markdown = as_markdown(plan, found, called)
    for ending, content in (('csv', as_csv(found)), ('md', markdown), ('png', draw(plan, found))):
        write_atomically(content, out / f'{plan.table.name}.{ending}')
    return markdown


def carry_out(plan: Plan, out: Path, jobs: int, estimates: Estimates, called: str) -> None:
    """Makes the pending runs of a plan, so many at once, and writes and prints the table.

    Args:
        called: the command line that makes the table, which is written below it.

    Raises:
        SystemExit: with status 1 if a run failed, and with a signal's own if one stopped the work.
    """
    pending = plan.pending()
    ended_runs = []

    def started(run: Run) -> None:
        print(f'{run.name}: starts, {printable(run.folder / OUTPUT)}', flush=True)

    def ended(run: Run, reason: str) -> None:
        ended_runs.append(run)
        write_report(plan, out, called)
        estimates.update()
        rest = [other for other in pending if other not in ended_runs]
        left = estimates.told(rest, jobs)
        print(f'[{len(ended_runs)}/{len(pending)}] {run.name}: {reason or show_result(run)}; {left} to go', flush=True)

    try:
        with stopping.stop_signals():
            failed = make_runs(plan, out, jobs, started, ended)
    except stopping.Stopped as stop:
        print(f'{stop}: the same command goes on', file=sys.stderr)
        sys.exit(stop.status)
    print(write_report(plan, out, called))
    for name, reason in failed.items():
        print(f'failed: {name}: {reason}', file=sys.stderr)
    if failed:
        sys.exit(1)


def show_result(run: Run) -> str:
    """What a finished run found, in per cent."""
    of_targets = run.results()[run.wanted].items()
    return ', '.join(
        f'{name}: mAP {per_cent([of["mAP"]])}, Rank-1 {per_cent([of["rank1"]])}' for name, of in of_targets
    )
