"""Trains and tests models: torchreid's keys and options, and PAUL's `paul` node; or shows what would be done."""

import functools
import importlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from yacs.config import CfgNode

from ..config import checks
from ..runtime import stopping
from . import command, run_words
from .run_words import Asked

if TYPE_CHECKING:
    from ..checkpoints.weights_file import WeightsFile

DESCRIPTION = 'Trains and tests a person re-ID model; loss.name paul adapts PatchNet to cameras without labels.'


def parse(argv: Sequence[str]) -> Asked:
    """What the command line asks for; `--help` and `--keys` print and exit."""
    if hasattr(sys.stdout, 'reconfigure'):
        sys.stdout.reconfigure(line_buffering=True)  # a line of progress is seen when it is printed, in a pipe too
    return run_words.parse(argv, DESCRIPTION)


def config_of(asked: Asked, file: 'WeightsFile | None' = None) -> CfgNode:
    """The config that was asked for, checked; `file` is what its `model.load_weights` names, if it was made already."""
    from ..run.model_keys import keys_of

    cfg = run_words.finish(asked, functools.partial(keys_of, file or file_of(asked)))
    checks.check_config(cfg)
    return cfg


def file_of(asked: Asked) -> 'WeightsFile':
    """The file of weights that is named, not read yet: who asks for its keys and who loads it share it."""
    from ..checkpoints.weights_file import WeightsFile

    return WeightsFile(asked.cfg.model.load_weights)


def run(asked: Asked) -> None:
    """Runs what was asked for, or shows what would be done."""
    file = file_of(asked)
    if asked.dry_run:
        from .dry_run import show

        show(config_of(asked, file), file)
        return
    from ..run import stages
    from ..runtime import processes

    with stopping.stop_signals():
        cfg = config_of(asked, file)
        with processes.group(cfg.use_gpu):
            stages.run(cfg, file)


def main(argv: Sequence[str] | None = None) -> None:
    """`paul train` for a program of your own that does more before: `argv` is by default that program's."""
    command.main(importlib.import_module(__name__), argv)
