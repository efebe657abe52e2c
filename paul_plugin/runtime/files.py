"""Files that a reader, or a kill, finds whole or not at all, and files that can be read without waiting for ever."""

import contextlib
import os
import pickle
import stat
from pathlib import Path

import numpy as np
import torch

from .errors import UserError

# What torchreid puts into a checkpoint beside tensors (`rank1`). They build a number from bytes and run nothing.
NUMPY_SCALARS = [
    (np._core.multiarray.scalar, 'numpy.core.multiarray.scalar'),
    (np._core.multiarray.scalar, 'numpy._core.multiarray.scalar'),
    np.dtype,
    type(np.dtype(np.float64)),
    type(np.dtype(np.float32)),
]


def is_special(path: str | Path) -> bool:
    """Whether it is a pipe or a device, and so to be refused before it is opened.

    To open a pipe is to wait for its writer, and a device may have no end.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _replace(partial: Path, path: Path) -> None:
    """Gives a written file its final name, and makes the disk know it."""
    os.replace(partial, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _partial(path: Path):
    """A name for a file until it is whole; what is left of it after an error is removed."""
    partial = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        yield partial
        _replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def whole_file(path: Path):
    """A file to write bytes to, which gets its name when they are on the disk; after an error nothing is left of it."""
    with _partial(path) as partial, open(partial, 'wb') as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def check_target(path: Path, force: bool = False) -> None:
    """Refuses a file that cannot be written, before any work is done for it.

    Raises:
        UserError: if it is a folder, or is there and may not be written over.
    """
    if path.is_dir():
        raise UserError(f'{path} is a folder: name the file to write')
    if path.exists() and not force:
        raise UserError(f'{path} exists: give another name, or --force to write over it')


def write_atomically(content: str | bytes, path: Path) -> None:
    """Writes a file that a reader, or a kill, finds whole: the old one or the new one."""
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def save_atomically(state: dict, path: Path) -> None:
    """Saves a checkpoint that a reader, or a kill, finds whole: the old one or the new one.

    Raises:
        UserError: if it cannot be written, for want of space or permission; what was there is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            torch.save(state, file)
    except (OSError, RuntimeError) as error:  # torch turns an OSError of the file into a RuntimeError of its own
        cause = error if isinstance(error, OSError) else error.__context__
        reason = getattr(cause, 'strerror', None) or str(error).splitlines()[0]
        raise UserError(f'cannot write {path}: {reason}') from None


def read_saved(path: str | Path) -> object:
    """Reads a file of torch's as data: nothing in it is executed.

    Raises:
        UserError: if the file is missing, damaged, or holds more than tensors, numbers, texts and their containers.
    """
    if is_special(path):
        raise UserError(f'{path} is a pipe or a device, not a file: name a weight file')
    try:
        with torch.serialization.safe_globals(NUMPY_SCALARS):
            return torch.load(path, map_location='cpu', weights_only=True)
    except FileNotFoundError:
        raise UserError(f'no weight file at {path}: check the path') from None
    except IsADirectoryError:
        raise UserError(f'{path} is a folder: name the weight file in it') from None
    except PermissionError:
        raise UserError(f'no permission to read {path}') from None
    except pickle.UnpicklingError:
        raise UserError(f'{path} is no weight file, or holds more than weights (nothing was executed)') from None
    except Exception as error:  # a damaged archive fails in many ways inside torch, zipfile and pickle
        raise UserError(f'{path} is damaged or no weight file ({type(error).__name__}): get it again') from None
