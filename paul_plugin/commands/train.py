"""Trains and tests models: torchreid's keys and options, and PAUL's `paul` node; or shows what would be done.

Example: paul train paul_synthetic
"""

import importlib
import sys
from collections.abc import Sequence

from yacs.config import CfgNode

from ..config import checks
from ..runtime import stopping
from . import command, run_words
from .run_words import Asked

DESCRIPTION = 'Trains and tests a person re-ID model; loss.name paul adapts PatchNet to cameras without labels.'


def parse(argv: Sequence[str]) -> Asked:
    """What the command line asks for; `--help` and `--keys` print and exit."""
    if hasattr(sys.stdout, 'reconfigure'):
        sys.stdout.reconfigure(line_buffering=True)  # a line of progress is seen when it is printed, in a pipe too
    return run_words.parse(argv, DESCRIPTION)


def config_of(asked: Asked) -> CfgNode:
    """The config that was asked for, checked."""
    from ..run.weights_file import take_from_file

    cfg = run_words.finish(asked, take_from_file)
    checks.check_config(cfg)
    return cfg


def run(asked: Asked) -> None:
    """Runs what was asked for, or shows what would be done."""
    if asked.dry_run:
        from .dry_run import show

        show(config_of(asked))
        return
    from ..run import stages
    from ..runtime import processes

    with stopping.stop_signals():
        cfg = config_of(asked)
        with processes.group(cfg.use_gpu):
            stages.run(cfg)


def main(argv: Sequence[str] | None = None) -> None:
    """`paul train` for a program of your own that does more before: `argv` is by default that program's."""
    command.main(importlib.import_module(__name__), argv)
