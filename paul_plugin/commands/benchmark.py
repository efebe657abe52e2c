"""Times each part of the method and the whole training step against a straightforward implementation of the formulas.

What is timed lies in a checkout, in tools/benchmarks, and in no wheel.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from ..runtime.errors import UserError
from . import command

TOOLS = Path(__file__).parents[2] / 'tools'

DESCRIPTION = """\
Times each part of the method and the whole training step against a straightforward implementation of the formulas.

The two are run in turn, several times; medians, spreads and the ratio of medians are printed as a Markdown table."""

GROWING = 'growing jobs'  # the table that takes half an hour
EXAMPLE = '--only ranking --repeats 3 --json benchmark.json'


def wants_growing(only: Sequence[str] | None) -> bool:
    """Whether the words of --only ask for it; without any it is left out."""
    return any(word in GROWING for word in only or ())


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = command.make_parser(DESCRIPTION, EXAMPLE)
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument('--amp', choices=['off', 'bf16', 'fp16'], default='off', help='precision of our training step')
    parser.add_argument('--json', metavar='FILE', help='write all figures there')
    parser.add_argument('--picture', metavar='FILE', help=f'with --only "{GROWING}": draws it, PNG')
    parser.add_argument('--repeats', type=command.at_least(1), default=5, help='times that each is run (default: 5)')
    parser.add_argument('--only', nargs='+', metavar='WORD', help='only the rows whose name holds one of the words')
    parser.add_argument('--against', metavar='FOLDER', help='with --job: another checkout, whose job runs in turn')
    parser.add_argument('--until', metavar='WORDS', help='with --job: ends it after the first line that holds them')
    parser.add_argument(
        '--job',
        nargs=argparse.REMAINDER,
        metavar='ARGUMENT',
        help='the last option: times a whole `paul train` with these arguments instead, stage by stage',
    )
    parser.add_argument('--peak', type=int, metavar='N', help=argparse.SUPPRESS)
    found = parser.parse_args(argv)
    for option in ('against', 'until'):
        if getattr(found, option) is not None and not found.job:
            parser.error(f'--{option} is for --job: add --job and the arguments of a paul train, or leave it out')
    if found.picture is not None and not wants_growing(found.only):
        parser.error(f'--picture is for --only "{GROWING}": add that, or leave it out')
    return found


def run(arguments: argparse.Namespace) -> None:
    """Prints the tables that the arguments ask for.

    Raises:
        UserError: outside of a checkout.
    """
    if not (TOOLS / 'benchmarks').is_dir():
        raise UserError(
            'paul benchmark is for a checkout of the project, whose tools/benchmarks an installed package lacks: '
            'start python tools/benchmark.py there'
        )
    sys.path.append(str(TOOLS))  # processes that are started anew get it, too
    importlib.import_module('benchmarks.tables').benchmark(arguments)
