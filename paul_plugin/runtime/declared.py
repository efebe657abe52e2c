"""What a file of torch's declares, looked at before torch reads it: a small one could fill the memory."""

import pickletools
import zipfile
from collections.abc import Iterator
from encodings import normalize_encoding
from encodings.aliases import aliases
from pathlib import Path
from typing import BinaryIO

import numpy as np

_PICKLES = 5  # in a file of before torch 1.6: a magic number, the version, the machine, what was saved, its tensors
_LONGEST = 64  # characters of a codec's name
# Codecs whose result is of the kind of what they take, so that a few calls, one within the other, make gigabytes.
_REPEATABLE = {'base64_codec', 'bz2_codec', 'hex_codec', 'quopri_codec', 'rot_13', 'uu_codec', 'zlib_codec'}


class Excessive(Exception):
    """A file that declares more than it holds; the text tells what."""


def check_declared(path: str | Path) -> None:
    """Refuses a file whose reading could take far more memory than the file has bytes.

    torch stores its files' entries as they are. Of what torch builds from a pickle of weights, `bytearray(n)` takes
    memory by a number, and codecs from bytes to bytes by being applied again and again; no weights need them.

    Raises:
        Excessive: naming what is declared.
        OSError, ValueError, zipfile.BadZipFile: for a file that cannot be read, or is none of torch's.
    """
    with open(path, 'rb') as file:
        if file.read(2) != b'PK':
            file.seek(0)
            for _ in range(_PICKLES):
                _check_pickle(file)
                if not file.peek(1):
                    return
            return
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if any(entry.filename.endswith('/constants.pkl') for entry in entries):
                return  # TorchScript, which has compressed entries, and which torch.load refuses unread
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise Excessive('compressed entries, which torch does not write')
            declared, size = sum(entry.file_size for entry in entries), file.seek(0, 2)
            if declared > size:
                raise Excessive(f'entries of {declared} bytes in a file of {size}')
            for entry in entries:
                if entry.filename.endswith('data.pkl'):
                    with archive.open(entry) as pickled:
                        _check_pickle(pickled)


def _check_pickle(file: BinaryIO) -> None:
    encodes, repeatable = False, set()
    for name, argument in _names_and_texts(file):
        if name.endswith(' bytearray'):
            raise Excessive('a bytearray, which may be of any size')
        encodes |= name == '_codecs encode'
        if len(argument) <= _LONGEST:
            codec = normalize_encoding(argument).lower().replace('.', '_')
            repeatable |= {aliases.get(codec, codec)} & _REPEATABLE
    if encodes and repeatable:
        raise Excessive(f'the codec {", ".join(sorted(repeatable))}, which may be applied again and again')


def _names_and_texts(file: BinaryIO) -> Iterator[tuple[str, str]]:
    """What a pickle names to be called (`module name`), and its texts; nothing is executed."""
    for operation, argument, _ in pickletools.genops(file):
        if operation.name == 'GLOBAL':
            yield argument, ''
        elif isinstance(argument, str):
            yield '', argument


def numpy_scalar(dtype: np.dtype, content: bytes) -> np.generic:
    """NumPy's own reader of a saved scalar; without content it would make one of any size, all zeros."""
    return np._core.multiarray.scalar(dtype, content)


def numpy_dtype(name: str, align: bool = False, copy: bool = True) -> np.dtype:
    """NumPy's type of a saved scalar: of a number, not of a record or an array, which may be of any size."""
    if not isinstance(name, str) or np.dtype(name).kind not in 'biuf':
        raise ValueError('a NumPy type that is none of a number')
    return np.dtype(name, align, copy)
