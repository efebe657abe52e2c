"""torchreid's log: what is printed goes to a file as well."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torchreid import utils

from ..runtime.errors import UserError


class _Log(utils.Logger):
    """torchreid's Logger closes the console with its file, when it is closed and when it is forgotten."""

    def close(self):
        if self.file is not None:  # it could not be opened
            self.file.close()


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Writes what is printed to a file as well, by torchreid's Logger.

    Raises:
        UserError: if the file cannot be made.
    """
    console = sys.stdout
    try:
        sys.stdout = log = _Log(str(path))
    except OSError as error:
        raise UserError(
            f'cannot write the log into the folder {path.parent} ({error.strerror}): choose another data.save_dir'
        ) from None
    try:
        yield
    finally:
        sys.stdout = console
        log.close()
