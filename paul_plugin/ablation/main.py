"""Makes a table of the paper: shows the plan, runs what is pending, and writes the table after each run."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ..run import command
from ..runtime import stopping
from ..runtime.errors import import_optional, printable
from ..runtime.files import write_atomically
from .arguments import make_parser, plan_of, split_words
from .estimates import Estimates, in_words
from .plan import Plan, Run
from .plot import draw
from .report import as_csv, as_markdown, measurements, per_cent
from .runs import OUTPUT, make_runs


def show_plan(plan: Plan, out: Path) -> None:
    """Prints the grid of rows and seeds, and which of the runs are done."""
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


def show_time(runs: list[Run], estimates: Estimates, jobs: int) -> None:
    """Prints how long the runs will take, and how that is known."""
    if not runs:
        print('All of them are done.')
        return
    seconds = sum(map(estimates.seconds, runs)) / jobs
    timed = sum(not estimates.is_known(run) for run in runs)
    print(f'To do: {len(runs)} runs, {jobs} at once; estimated time: {in_words(seconds)}')
    if timed:
        print(
            f'({timed} of them by timing the model alone, without loading images, losses and ranking; '
            'corrected when the first run of its kind ends)'
        )


def write_report(plan: Plan, out: Path, command_line: str) -> str:
    """Writes the table in its three forms; returns the Markdown."""
    found = measurements(plan)
    markdown = as_markdown(plan, found, command_line)
    for ending, content in (('csv', as_csv(found)), ('md', markdown), ('png', draw(plan, found))):
        write_atomically(content, out / f'{plan.table.name}.{ending}')
    return markdown


def ablate(argv: Sequence[str]) -> None:
    """Makes the table that a command line asks for.

    Raises:
        UserError: for what is wrong with the command line.
        SystemExit: with status 1 if a run failed, and with a signal's own if one stopped the work.
    """
    own, words = split_words(argv)
    arguments = make_parser().parse_args(own)
    import_optional('matplotlib')  # before hours of work, not after
    plan = plan_of(arguments, words)
    pending = plan.pending()
    estimates = Estimates(arguments.out, arguments.jobs)
    show_plan(plan, arguments.out)
    show_time(pending, estimates, arguments.jobs)
    if arguments.dry_run:
        return
    command_line = shlex.join(['python', 'tools/ablate.py', *argv])
    ended_runs = []

    def started(run: Run) -> None:
        print(f'{run.name}: starts, {printable(run.folder / OUTPUT)}', flush=True)

    def ended(run: Run, reason: str) -> None:
        ended_runs.append(run)
        write_report(plan, arguments.out, command_line)
        estimates.update()
        rest = [other for other in pending if other not in ended_runs]
        left = in_words(sum(map(estimates.seconds, rest)) / arguments.jobs)
        print(f'[{len(ended_runs)}/{len(pending)}] {run.name}: {reason or show_result(run)}; {left} to go', flush=True)

    try:
        with stopping.stop_signals():
            failed = make_runs(plan, arguments.out, arguments.jobs, started, ended)
    except stopping.Stopped as stop:
        print(f'{stop}: the same command goes on', file=sys.stderr)
        sys.exit(stop.status)
    print(write_report(plan, arguments.out, command_line))
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


def main(argv: Sequence[str] | None = None) -> None:
    """The command line: exit status 2 and one line for what the user can mend, 1 if a run failed."""
    command.call(lambda: ablate(sys.argv[1:] if argv is None else argv))
