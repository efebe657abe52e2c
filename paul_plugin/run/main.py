"""The command line of a run: reads the config, runs it, says what went wrong in one line."""

import sys

from ..config import checks, command_line
from ..runtime import processes, stopping, streams
from .failures import exit_with
from .stages import run
from .weights_file import take_from_file

DESCRIPTION = (
    'Trains and tests a person re-ID model; with loss.name paul, adapts PatchNet to new cameras without labels.'
)


def main(argv: list[str] | None = None) -> None:
    """The command line: one line an error and exit status 2 for what the user can mend, 130 or 143 when stopped."""
    streams.prepare()
    if hasattr(sys.stdout, 'reconfigure'):
        sys.stdout.reconfigure(line_buffering=True)  # a line of progress is seen when it is printed, in a pipe too
    try:
        with stopping.stop_signals():
            cfg = command_line.load_config(argv, DESCRIPTION, take_from_file)
            checks.check_config(cfg)
            with processes.group(cfg.use_gpu):
                run(cfg)
    except Exception as error:
        exit_with(error)
