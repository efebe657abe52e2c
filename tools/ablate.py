"""Makes a table of the paper on any data set: a run for each row and seed, then CSV, Markdown and a picture.

Example: python tools/ablate.py components --config-file configs/paul_synthetic.yaml --seeds 1 2 3
"""

import argparse
import shlex
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from paul_plugin.ablation import tables
from paul_plugin.ablation.estimates import Estimates, in_words
from paul_plugin.ablation.plan import Plan, Run, check_base, make_plan
from paul_plugin.ablation.plot import draw
from paul_plugin.ablation.report import as_csv, as_markdown, measurements, per_cent
from paul_plugin.ablation.runs import OUTPUT, make_runs
from paul_plugin.config import command_line
from paul_plugin.config.command_line import starts_pair
from paul_plugin.config.keys import get_default_config
from paul_plugin.run import command
from paul_plugin.runtime import stopping
from paul_plugin.runtime.errors import UserError, import_optional, nearest
from paul_plugin.runtime.files import write_atomically

DESCRIPTION = """\
Makes a table of the paper: runs tools/main.py for each row and seed and writes OUT/TABLE.csv, .md and .png after each.
The table comes first; all words that are not listed here are those of tools/main.py: options, KEY VALUE pairs.
A run that is finished is not repeated, whichever table it was made for, and one that was stopped goes on: give the
same command again. train.seed, data.save_dir and model.resume are set for each run.
"""
EXAMPLE = """\
  python tools/ablate.py components --config-file configs/paul_synthetic.yaml --seeds 1 2 3 --dry-run
  python tools/ablate.py k --values 1 5 10 20 --config-file configs/paul_market.yaml --root /data/reid paul.scale 20
"""


def make_parser() -> argparse.ArgumentParser:
    parser = command.make_parser(DESCRIPTION, EXAMPLE)
    parser.usage = '%(prog)s TABLE [options] [options and KEY VALUE pairs of tools/main.py]'
    letters = ', '.join(f'{letter} for {name}' for letter, name in tables.ALIASES.items())
    parser.add_argument(
        'table', metavar='TABLE', choices=[*tables.TABLES, *tables.ALIASES],
        help=f"{', '.join(tables.TABLES)}; or the paper's letter: {letters}",
    )  # fmt: skip
    parser.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3], help='of data and training (default: 1 2 3)')
    parser.add_argument('--out', type=Path, default=Path('log/ablation'), help='folder of the results (%(default)s)')
    parser.add_argument('--rows', nargs='+', help='names of the rows to run (default: all)')
    parser.add_argument(
        '--values', nargs='+',
        help="of the swept key; of pretraining: sources, such as msmt17 market1501+cuhk03 none (default: the config's "
        'own and usual ones)',
    )  # fmt: skip
    parser.add_argument('--jobs', type=int, default=1, help='runs at once, which share the cores (%(default)s)')
    parser.add_argument('--dry-run', action='store_true', help='show the runs and the estimated time, start nothing')
    return parser


def split_words(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divides a command line into the words of this program and those of tools/main.py."""
    options = {'--seeds': None, '--rows': None, '--values': None, '--out': 1, '--jobs': 1, '--dry-run': 0}
    cfg = get_default_config()
    words = deque(argv)
    own, others = [words.popleft()] if words else [], []
    while words:
        word = words.popleft()
        name, equals, _ = word.partition('=')
        if word in ('-h', '--help'):
            own.append(word)
        elif name not in options:
            others.append(word)
        else:
            own.append(word)
            most = 0 if equals else options[name]
            taken = 0
            while words and taken != most and not (words[0].startswith('-') or starts_pair(words[0], cfg)):
                own.append(words.popleft())
                taken += 1
    return own, others


def plan_of(arguments: argparse.Namespace, words: Sequence[str]) -> Plan:
    """The plan that a command line asks for.

    Raises:
        UserError: for what is wrong with it.
    """
    if arguments.jobs < 1:
        raise UserError(f'--jobs {arguments.jobs}: must be at least 1')
    cfg = command_line.load_config(words)
    check_base(cfg)
    table = tables.make_table(arguments.table, cfg, arguments.values)
    names = [row.name for row in table.rows]
    for name in arguments.rows or ():
        if name not in names:
            raise UserError(f'--rows {name!r}{nearest(name, names)}: must be of {", ".join(map(repr, names))}')
    return make_plan(table, words, cfg, arguments.seeds, arguments.out, arguments.rows)


def show_plan(plan: Plan, out: Path) -> None:
    """Prints the grid of rows and seeds, and which of the runs are done."""
    pending = {run.folder for run in plan.pending()}
    wide = 2 + max(len(row.name) for row in plan.table.rows)
    print(f'Table {plan.table.name}, in {out}')
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
        print(f'{run.name}: starts, {run.folder / OUTPUT}', flush=True)

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


if __name__ == '__main__':
    main()
