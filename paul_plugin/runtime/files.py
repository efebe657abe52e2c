"""Files that a reader, or a kill, finds whole or not at all, and files that can be read without waiting for ever.

torch is imported by the one function that needs it: reading a config file does not.
"""

import contextlib
import errno
import functools
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from . import lock
from .errors import UserError, printable

# What is not whole yet: a hidden name that cannot be guessed, as someone may have put a link under one that can.
_UNFINISHED = re.compile(r'\..+\.[0-9a-f]{16}\.partial')
_WINDOWS = os.name == 'nt'


def _unfinished(path: Path) -> Path:
    return path.with_name(f'.{path.name}.{secrets.token_hex(8)}.partial')


def is_unfinished(name: str) -> bool:
    """Whether a file's name is one that is not whole yet, or that a kill has left."""
    return _UNFINISHED.fullmatch(name) is not None


def _sync(descriptor: int) -> None:
    """Waits until the disk has it; some file systems of networks and of user space cannot say, and refuse."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno in (errno.EIO, errno.ENOSPC, errno.EDQUOT):  # the disk has it not
            raise


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
    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError:  # Windows opens no folder, and others may be written but not read
        return
    try:
        _sync(folder)
    finally:
        os.close(folder)


def remove_unowned(path: Path) -> None:
    """Removes an unfinished file or folder that no living process is writing.

    Its writer holds a lock on it, which ends with the writer. Where there are no locks, nothing is removed.
    """
    flags = os.O_RDONLY | getattr(os, 'O_NOFOLLOW', 0) | getattr(os, 'O_NONBLOCK', 0)  # a link, a pipe: not ours
    with contextlib.suppress(OSError):
        descriptor = os.open(path, flags)
        try:
            if lock.try_lock(descriptor):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        finally:
            os.close(descriptor)


@functools.cache
def sweep(folder: Path) -> None:
    """Removes what killed processes left unfinished in a folder; looks once a process."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if is_unfinished(entry.name):
                remove_unowned(Path(entry.path))


def _create(path: Path) -> tuple[Path, int]:
    """A new file beside a path, and locked: another process' `sweep` may take it in the moment between."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL  # never an existing file, nor what a link leads to
    for name in ('O_NOFOLLOW', 'O_BINARY'):
        flags |= getattr(os, name, 0)
    while True:
        partial = _unfinished(path)
        descriptor = os.open(partial, flags, 0o666)
        if lock.try_lock(descriptor) is not False and os.path.lexists(partial):
            return partial, descriptor
        os.close(descriptor)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write bytes to, which gets its name when they are on the disk; after an error nothing is left of it.

    Raises:
        OSError: by the path's own name, not by the one that the file has meanwhile.
    """
    try:
        yield from _written(path)
    except OSError as error:
        named = error.filename
        if named is None or (isinstance(named, str) and is_unfinished(os.path.basename(named))):
            error.filename, error.filename2 = str(path), None
        raise


@contextlib.contextmanager
def file_of_user(path: Path, hint: str = '') -> Iterator[BinaryIO]:
    """`whole_file` of a file that a user named, in a folder that is made where it is not there.

    Raises:
        UserError: if it cannot be written, for want of space or permission; `hint` ends its line.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            yield file
    except OSError as error:
        raise UserError(f'cannot write {printable(path)}: {error.strerror or error}{hint}') from None


def _written(path: Path) -> Iterator[BinaryIO]:
    sweep(path.parent)
    partial, descriptor = _create(path)
    try:
        with open(partial, 'wb', opener=lambda *_: descriptor) as file:  # with a name, which torch.onnx reads
            yield file
            file.flush()
            _sync(file.fileno())
            if not _WINDOWS:  # while it is open, and so locked
                _replace(partial, path)
        if _WINDOWS:  # where an open file cannot be renamed
            _replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """A new folder beside a path, for what is to become that path when it is whole; gone at the end.

    Example:
        >>> with scratch_folder(path) as folder:
        ...     download(folder / path.name)
        ...     os.replace(folder / path.name, path)
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    folder = _unfinished(path)
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # Windows opens no folder
            descriptor = os.open(folder, os.O_RDONLY)
            stack.enter_context(lock.held(descriptor))
            lock.try_lock(descriptor)
        yield folder


def link_or_copy(path: Path, target: Path) -> None:
    """Gives a file that is whole a second name, in the place of what has that name; copies it where there are no links.

    Raises:
        OSError: if it cannot be done; what was there is untouched.
    """
    partial = _unfinished(target)
    try:
        os.link(path, partial)
    except OSError:
        with open(path, 'rb') as source, whole_file(target) as file:
            shutil.copyfileobj(source, file)
        return
    try:
        _replace(partial, target)
    finally:  # where both were the same file already, a rename does nothing
        partial.unlink(missing_ok=True)


def write_atomically(content: str | bytes, path: Path) -> None:
    """Writes a file that a reader, or a kill, finds whole: the old one or the new one."""
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def save_atomically(state: dict, path: Path) -> None:
    """Saves a checkpoint that a reader, or a kill, finds whole: the old one or the new one.

    Raises:
        UserError: if it cannot be written, for want of space or permission; what was there is untouched.
    """
    import torch

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            torch.save(state, file)
    except (OSError, RuntimeError) as error:  # torch turns an OSError of the file into a RuntimeError of its own
        cause = error if isinstance(error, OSError) else error.__context__
        reason = getattr(cause, 'strerror', None) or str(error).splitlines()[0]
        raise UserError(f'cannot write {printable(path)}: {reason}') from None


def stat_digest(paths: Iterable[str | Path]) -> str:
    """Tells files by their names, sizes and times of change, in their order, without reading them.

    The same files in another folder have the same digest, if their times were kept. A file that is not there counts
    as one of no size.

    Returns:
        Hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            status = os.stat(path)
            size, changed = status.st_size, int(status.st_mtime)  # seconds: a copy may keep no more
        except OSError:
            size = changed = -1
        digest.update(os.fsencode(f'{os.path.basename(path)}\0{size}\0{changed}\0'))
    return digest.hexdigest()
