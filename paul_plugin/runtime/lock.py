"""Locks on files and folders that end with the process that holds them, however it ends."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from .errors import UserError, printable

_held: set[int] = set()  # the descriptors of the folders that are locked


def _let_go() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


# A forked worker of a data loader shares its parent's locks, and may outlive it.
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_let_go)


def try_lock(descriptor: int) -> bool | None:
    """Locks an open file or folder.

    Returns:
        Whether it is locked now; False where another process holds it, None where there are no locks: on Windows, and
        on file systems that refuse them.
    """
    try:
        import fcntl
    except ImportError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EAGAIN, errno.EACCES) else None  # the second: over SMB
    return True


@contextlib.contextmanager
def held(descriptor: int) -> Iterator[None]:
    """Closes a locked descriptor at the end, and at once in processes that are forked meanwhile."""
    _held.add(descriptor)
    try:
        yield
    finally:
        if descriptor in _held:  # not in a forked process
            _held.remove(descriptor)
            os.close(descriptor)


def _taken(got: bool | None, folder: Path, refusal: str) -> bool:
    """Whether a folder is locked, by what `try_lock` gave; where there are no locks, one line says so.

    Raises:
        UserError: `refusal`, where another process holds the lock.
    """
    if got is False:
        raise UserError(refusal)
    if got is None:
        print(f'warning: no locks in {printable(folder)}: two that write into it at once would spoil each other')
    return bool(got)


@contextlib.contextmanager
def locked_while_there(folder: Path, refusal: str) -> Iterator[None]:
    """Keeps other processes away from a folder that is made here, and that may be gone at the end.

    The lock is the folder's own and leaves no file; the folder is removed if it is empty in the end. Where there are no
    locks, one line says so.

    Args:
        folder: what is locked.
        refusal: the error where another process holds it.

    Raises:
        UserError: `refusal`.
        OSError: if the folder cannot be made.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # another one has ended meanwhile, and removed it
            continue
        except OSError:  # Windows opens no folder
            descriptor = -1
        got = try_lock(descriptor) if descriptor >= 0 else None
        if got and not _is_still(folder, descriptor):
            os.close(descriptor)
            continue
        break
    with contextlib.ExitStack() as stack:
        if descriptor >= 0:
            stack.enter_context(held(descriptor))
        _taken(got, folder, refusal)
        try:
            yield
        finally:
            if descriptor < 0 or _is_still(folder, descriptor):  # not one that another has made in its place
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _is_still(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(folder), os.fstat(descriptor))
    except OSError:
        return False


@contextlib.contextmanager
def locked(folder: Path, refusal: str) -> Iterator[tuple[int, ...]]:
    """Keeps other processes that lock the same folder away from it.

    The lock is that of the hidden file `.lock` in the folder, which is made if it is not there and stays. It ends with
    this process. Where there are no locks, one line says so.

    Args:
        folder: what is locked.
        refusal: the error where another process holds it.

    Yields:
        The descriptors that a process started by this one must inherit (`pass_fds`) to hold the lock on.

    Raises:
        UserError: `refusal`.

    Example:
        >>> with locked(Path('log/paul'), 'another run writes into log/paul: choose another data.save_dir'):
        ...     run()
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / '.lock', os.O_RDWR | os.O_CREAT | getattr(os, 'O_NOFOLLOW', 0), 0o666)
    except OSError:  # the first file that is to be written there says why
        yield ()
        return
    with held(descriptor):
        yield (descriptor,) if _taken(try_lock(descriptor), folder, refusal) else ()
