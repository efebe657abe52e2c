"""Files that a reader, or a kill, finds whole or not at all, and files that can be read without waiting for ever."""

import contextlib
import os
from pathlib import Path

import torch

from .errors import UserError


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
