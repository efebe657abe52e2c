"""The command line of a run: reads the config, runs it, says what went wrong in one line."""

import sys
from collections.abc import Sequence

from yacs.config import CfgNode

from ..config import checks, command_line
from ..config.command_line import Asked
from ..runtime import stopping
from ..runtime.errors import UserError
from . import command

DESCRIPTION = 'Trains and tests a person re-ID model; loss.name paul adapts PatchNet to cameras without labels.'


def parse(argv: Sequence[str] | None = None) -> Asked:
    """What the command line asks for; `--help` and `--keys` print and exit."""
    if hasattr(sys.stdout, 'reconfigure'):
        sys.stdout.reconfigure(line_buffering=True)  # a line of progress is seen when it is printed, in a pipe too
    return command_line.parse(argv, DESCRIPTION)


def config_of(asked: Asked) -> CfgNode:
    """The config that was asked for, checked."""
    from .weights_file import take_from_file

    cfg = command_line.finish(asked, take_from_file)
    checks.check_config(cfg)
    return cfg


def run(asked: Asked) -> None:
    """Runs what was asked for.

    Raises:
        UserError: for a dry run, which is not made here.
    """
    from ..runtime import processes
    from . import stages

    if asked.dry_run:
        raise UserError('--dry-run is an option of paul train and tools/main.py')
    with stopping.stop_signals():
        cfg = config_of(asked)
        with processes.group(cfg.use_gpu):
            stages.run(cfg)


def main(argv: Sequence[str] | None = None) -> None:
    """The command line: one line an error and exit status 2 for what the user can mend, 130 or 143 when stopped."""
    command.main(parse, run, argv)
