"""The command line of an ablation: its own words, those of tools/main.py, and the plan that they ask for."""

import argparse
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from ..config import command_line
from ..config.command_line import starts_pair
from ..config.keys import get_default_config
from ..run import command
from ..runtime.errors import UserError, nearest
from . import tables
from .plan import Plan, check_base, make_plan

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
    """The parser of this program's own words."""
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
