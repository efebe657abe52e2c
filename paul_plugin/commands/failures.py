"""What ended a run, in words, and the exit status that says so."""

import contextlib
import os
import sys
from typing import NoReturn

from ..runtime import launch, stopping
from ..runtime.errors import UserError, is_lost_worker, is_out_of_memory, is_shared_memory_full, printable


def explain(error: Exception) -> tuple[list[str], int] | None:
    """The lines for the error stream and the exit status; None for an error that only a traceback explains.

    Where all processes of a machine meet the same error, the first one says it.
    """
    if isinstance(error, UserError):
        told = launch.first_of_machine() or error.of_one_process
        return [f'error: {line}' for line in str(error).splitlines() if told], 2
    from ..checkpoints import resume  # and torch, which a command line is refused without
    from ..runtime import processes

    if isinstance(error, stopping.Stopped):
        return [f'{error}: go on with model.resume {resume.AUTO}'] if launch.first_of_machine() else [], error.status
    if is_shared_memory_full(error):
        way_out = 'docker run --shm-size 8g gives a container more, data.workers 0 needs none'
        return [f'error: the shared memory (/dev/shm) is full, which the workers of data loaders use: {way_out}'], 2
    if is_lost_worker(error):
        way_out = f'lower data.workers, then go on with model.resume {resume.AUTO}'
        return [
            f'error: a worker that reads images was killed, such as for want of memory or of /dev/shm: {way_out}'
        ], 2
    if is_out_of_memory(error):
        way_out = 'lower train.batch_size or test.batch_size, data.height and data.width, data.workers'
        return [f'error: out of memory: {way_out}, or the size of the model'], 2
    if processes.is_loss_of_another(error):
        way_out = f'go on with model.resume {resume.AUTO}, which torchrun --max-restarts does by itself'
        return [f'error: process {os.environ["RANK"]} has lost another process of this run: {way_out}'], 1
    if isinstance(error, OSError) and error.errno:  # a full disk, a missing permission
        where = error.filename2 or error.filename or 'a file of data.save_dir'  # the second: where it was to be moved
        return [f'error: cannot read or write {printable(where)}: {error.strerror}'], 2
    return None


def exit_with(error: Exception) -> NoReturn:
    """Ends the program with what `explain` says; an error that it does not know is raised again."""
    explained = explain(error)
    if explained is None:
        raise error
    lines, status = explained
    for line in lines:
        with contextlib.suppress(OSError):  # the terminal is closed, or the reader gone: the status still says it
            print(line, file=sys.stderr)
    sys.exit(status)
