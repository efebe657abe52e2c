"""torchreid's log: what is printed goes to a file as well."""

import contextlib
import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from torchreid import utils

from ..runtime import stopping, streams
from ..runtime.errors import UserError, printable


def _new_file(path: Path) -> TextIO:
    """A file of this name, or with `-2`, `-3`, ... after it where it is there: another run began in the same second."""
    numbered = (path.with_name(f'{path.name}-{number}') for number in itertools.count(2))
    name = path
    while True:
        try:
            return open(name, 'x', encoding='utf-8', errors='backslashreplace')
        except FileExistsError:
            name = next(numbered)


class _Log(utils.Logger):
    """torchreid's Logger, which by itself writes over a log that is there.

    It also closes the console with its file, when it is closed and when it is forgotten, and it dies of a console or
    disk that takes no more, in the middle of a step. Here the run is asked to stop, and goes on to a safe place.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = _new_file(path)

    def _use(self, do: str, *args: str) -> None:
        log = f'the log {printable(self.file.name)}'
        for stream, name in ((self.console, 'the standard output'), (self.file, log)):
            try:
                getattr(stream, do)(*args)
            except OSError as error:
                stopping.request(f'{name}, which takes no more ({error.strerror})', 2)
                streams.lead_nowhere(stream)

    def write(self, text: str) -> None:
        self._use('write', text)

    def flush(self) -> None:
        self._use('flush')

    def close(self) -> None:
        if self.file is not None:  # it could not be opened
            with contextlib.suppress(OSError):  # the disk is full: of the last lines, nothing can be saved
                self.file.close()


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Writes what is printed to a file as well, by torchreid's Logger.

    Where the file is there already, a new one gets a number. If the console or the file takes no more, the run is asked
    to stop (`stopping.request`).

    Raises:
        UserError: if the file cannot be made.
    """
    console = sys.stdout
    try:
        sys.stdout = log = _Log(path)
    except OSError as error:
        raise UserError(
            f'cannot write the log into the folder {printable(path.parent)} ({error.strerror}): '
            'choose another data.save_dir'
        ) from None
    try:
        yield
    finally:
        sys.stdout = console
        log.close()
