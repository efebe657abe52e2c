"""The error that a user can cause, what its message is made of, and what other errors say.

torch is imported where it is needed: a program must be able to refuse a command line without it.
"""

import difflib
import errno
import importlib
import reprlib
import traceback
from collections.abc import Iterable
from multiprocessing import synchronize
from types import ModuleType


class UserError(Exception):
    """An error that the user can cause and mend: one line that names the thing, the value and the way out.

    The tools print it as `error: ...` and exit with status 2; where all processes of a machine meet the same error,
    the first one prints it.
    """

    of_one_process = False  # what only one may meet, it prints itself


def nearest(word: str, candidates: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the candidate most like the word, or an empty string."""
    close = difflib.get_close_matches(word, list(candidates), n=1)
    return f' (did you mean {close[0]!r}?)' if close else ''


# A list in YAML can hold itself many times over: written out in full, it would fill the memory.
_repr = reprlib.Repr()
_repr.maxlevel = 3
_repr.maxlist = _repr.maxtuple = _repr.maxdict = 20
_repr.maxstring = _repr.maxother = _repr.maxlong = 1000


def show(value: object) -> str:
    """A value for a message: one line, not too long; backslashes as they were typed.

    Example:
        >>> print(show(r'_c(\\d+)'))
        '_c(\\d+)'
    """
    text = _repr.repr(value)
    if isinstance(value, str) and value.isprintable():
        text = text.replace('\\\\', '\\')
    return text if len(text) <= 200 else f'{text[:200]}...'


def printable(name: object) -> str:
    """A name that is not ours, of a file, a person or a data set, for a message or a log: one line, as it is if it can.

    If it holds what is no printable character - a line break, a terminal's escape, a mark that turns the direction of
    writing, a byte that is no UTF-8 - it is quoted, with those escaped.

    Example:
        >>> printable('día 1/人.jpg'), printable('a\\nerror: b')
        ('día 1/人.jpg', "'a\\\\nerror: b'")
    """
    text = str(name)
    return text if text.isprintable() else repr(text)


def raise_together(errors: list[str]) -> None:
    """Raises a UserError of several lines, one an error, if there are any."""
    if errors:
        raise UserError('\n'.join(errors))


def import_optional(name: str) -> ModuleType:
    """Imports a package of the extra `tools`, or a module of one.

    Raises:
        UserError: naming the command that installs it.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.partition('.')[0]
        raise UserError(f'the package {package} is not there: pip install {package}') from None


def reason(error: object, limit: int | None = None) -> str:
    """What an error says, for a message: in one line, cut after `limit` characters; an error may say nothing.

    Example:
        >>> reason(RuntimeError('size mismatch:\\n\\tgot 3'), 20)
        'size mismatch: got 3'
    """
    return ' '.join(str(error).split())[:limit]


def is_out_of_memory(error: Exception) -> bool:
    """Whether Python, the system or torch ran out of memory; on a CPU torch has no class of errors for that."""
    import torch

    return (
        isinstance(error, (MemoryError, torch.OutOfMemoryError))
        or getattr(error, 'errno', None) == errno.ENOMEM
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )


def _came_through(error: Exception, module: ModuleType) -> bool:
    return any(frame.filename == module.__file__ for frame in traceback.extract_tb(error.__traceback__))


def is_lost_worker(error: Exception) -> bool:
    """Whether a worker of a data loader died, such as by the system's killer for want of memory."""
    if isinstance(error, (OSError, EOFError)):  # it died before its last images were fetched
        from torch.multiprocessing import reductions

        return _came_through(error, reductions)
    words = ('killed by signal', 'exited unexpectedly')
    return 'DataLoader worker' in str(error) and any(word in str(error) for word in words)


def is_shared_memory_full(error: Exception) -> bool:
    """Whether /dev/shm has no room, in which the workers of data loaders put their images and their semaphores."""
    text = str(error)
    if isinstance(error, OSError):
        return error.errno == errno.ENOSPC and _came_through(error, synchronize)
    return ('</torch_' in text and 'No space left' in text) or ('DataLoader worker' in text and 'Bus error' in text)
