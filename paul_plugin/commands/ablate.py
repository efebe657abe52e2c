"""Makes a table of the paper on any data set: a run for each row and seed, then CSV, Markdown and a picture.

Example: paul ablate components paul_synthetic --seeds 1 2 3
"""

import argparse
import sys
from collections.abc import Sequence

from ..ablation import arguments as command_line
from ..run import command


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    return command_line.parse(sys.argv[1:] if argv is None else argv)


def run(arguments: argparse.Namespace) -> None:
    """Makes the table that the arguments ask for."""
    from ..ablation.main import ablate

    ablate(arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """The command line: exit status 2 and one line for what the user can mend, 1 if a run failed."""
    command.main(parse, run, argv)
