"""What an archive declares to hold, against its size, looked at before torch reads it."""

import zipfile
from pathlib import Path


class Excessive(Exception):
    """A file that declares more than it holds; the text tells what."""


def check_declared(path: str | Path) -> None:
    """Refuses an archive whose entries are larger than the file: torch writes them as they are, uncompressed.

    A file of before torch 1.6 is no archive, and passes.

    Raises:
        Excessive: naming what is declared.
        OSError, ValueError, zipfile.BadZipFile: for a file that cannot be read.
    """
    with open(path, 'rb') as file:
        if file.read(2) != b'PK':
            return
        with zipfile.ZipFile(file) as archive:
            declared, size = sum(entry.file_size for entry in archive.infolist()), file.seek(0, 2)
    if declared > size:
        raise Excessive(f'entries of {declared} bytes in a file of {size}')
