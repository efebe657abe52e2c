"""Which checkpoint a run goes on from, and an engine put into its state."""

import os
from pathlib import Path

from ..runtime import processes
from ..runtime.errors import UserError, printable, reason
from .folder import CheckpointFolder
from .reading import read_checkpoint
from .weights_file import WeightsFile

AUTO = 'auto'  # for model.resume: the newest checkpoint of the run's own folder


def find(asked: str, checkpoints: CheckpointFolder) -> WeightsFile | None:
    """The checkpoint that is asked for; None where the run starts from the beginning.

    Args:
        asked: a file, `auto` for the newest of the run's own, or nothing.
        checkpoints: the run's own.

    Raises:
        UserError: if it cannot be read.
    """
    if not asked:
        return None
    if asked == AUTO:
        newest = checkpoints.read_newest() if processes.is_first() else None
        path = processes.from_first(newest and newest[0])  # all take the same one
        if path is None:
            return None
        return WeightsFile(path, newest[1] if newest else read_checkpoint(path))
    if os.path.isdir(asked):
        newest_there = CheckpointFolder(Path(asked, 'model')).newest()
        such = f', such as {printable(newest_there)}' if newest_there else ''
        raise UserError(f'{printable(asked)} is a folder: name a checkpoint in it{such} (model.resume)')
    try:
        return WeightsFile(asked, read_checkpoint(asked))  # now: a run that saves there may remove it
    except UserError as error:
        raise UserError(f'{error} (model.resume)') from None


def go_on(engine, point: WeightsFile) -> int:
    """Puts an engine into the state of a checkpoint; returns the number of epochs that are done.

    Raises:
        UserError: if it belongs to another model, optimizer or set of images.
    """
    try:
        epochs = engine.resume(point.checkpoint)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        said = f'it lacks {reason(error)}' if isinstance(error, KeyError) else reason(error)
        raise UserError(f'{printable(point.path)} does not fit this run (model.resume): {said[:200]}') from None
    point.forget()  # or the second memory bank would stay for the whole run
    print(f'Going on from {printable(point.path)}: {epochs} epochs and {engine.done[1]} steps are done')
    return epochs
