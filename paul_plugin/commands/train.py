"""Trains and tests models: torchreid's keys and options, and PAUL's `paul` node; or shows what would be done.

Example: paul train paul_synthetic
"""

from collections.abc import Sequence

from ..config.command_line import Asked
from ..run import command
from ..run import main as job

parse = job.parse


def run(asked: Asked) -> None:
    """Runs what was asked for, or shows what would be done."""
    if asked.dry_run:
        from .dry_run import show

        show(job.config_of(asked))
    else:
        job.run(asked)


def main(argv: Sequence[str] | None = None) -> None:
    """The command line: one line an error and exit status 2 for what the user can mend, 130 or 143 when stopped."""
    command.main(parse, run, argv)
