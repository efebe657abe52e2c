"""Makes a table of the paper on any data set: a run for each row and seed, then CSV, Markdown and a picture."""

import argparse
import shlex
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from ..ablation import tables
from ..config.keys import get_default_config
from ..runtime.errors import UserError, import_optional, nearest
from . import command, run_words

DESCRIPTION = """\
Makes a table of the paper: trains for each row and seed and writes OUT/TABLE.csv, .md and .png after each.
The table comes first; all words that are not listed here are those of `paul train`: CONFIG, options, KEY VALUE pairs.
A run that is finished is not repeated, whichever table it was made for, and one that was stopped goes on: give the
same command again. train.seed, data.save_dir and model.resume are set for each run.
"""
EXAMPLE = """\
components paul_synthetic --seeds 1 2 3 --dry-run
k paul_market --values 1 5 10 20 --root /data/reid paul.scale 20
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser of this verb's own words."""
    parser = command.make_parser(DESCRIPTION, EXAMPLE)
    parser.usage = '%(prog)s TABLE [CONFIG] [options] [options and KEY VALUE pairs of paul train]'
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
    parser.add_argument(
        '--jobs', type=command.at_least(1), default=1, help='runs at once, which share the cores (%(default)s)'
    )
    parser.add_argument('--dry-run', action='store_true', help='show the runs and their time; start nothing')
    return parser


def split_words(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divides a command line into the words of this verb and those of `paul train`."""
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
            while words and taken != most and not (words[0].startswith('-') or run_words.starts_pair(words[0], cfg)):
                own.append(words.popleft())
                taken += 1
    return own, others


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """What a command line asks for: this verb's own words, and as `words` those of a run, as `argv` all of them.

    Raises:
        UserError: for what is wrong with it.
    """
    own, words = split_words(argv)
    arguments = make_parser().parse_args(own)
    if run_words.parse(words).dry_run:  # and what is wrong with the words of a run is said at once, too
        raise UserError('--dry-run is to be written out: each of the runs would be a dry one')
    arguments.words, arguments.argv = words, list(argv)
    return arguments


def run(arguments: argparse.Namespace) -> None:
    """Makes the table that the arguments ask for, or shows its plan.

    Raises:
        UserError: for what is wrong with them.
        SystemExit: with status 1 if a run failed, and with a signal's own if one stopped the work.
    """
    from ..ablation.plan import check_base, make_plan
    from ..ablation.progress import carry_out, show_plan

    import_optional('matplotlib')  # before hours of work, not after
    cfg = run_words.load_config(arguments.words)
    check_base(cfg)
    table = tables.make_table(arguments.table, cfg, arguments.values)
    names = [row.name for row in table.rows]
    for name in arguments.rows or ():
        if name not in names:
            raise UserError(f'--rows {name!r}{nearest(name, names)}: must be of {", ".join(map(repr, names))}')
    plan = make_plan(table, arguments.words, cfg, arguments.seeds, arguments.out, arguments.rows)
    estimates = show_plan(plan, arguments.out, arguments.jobs)
    if not arguments.dry_run:
        called = f'{command.called()} {shlex.join(arguments.argv)}'
        carry_out(plan, arguments.out, arguments.jobs, estimates, called)
