"""Reads files of weights as data: torch's, of safetensors, of ONNX; and names what a file is that is none."""

import contextlib
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from ..runtime.errors import UserError, printable
from ..runtime.files import is_special
from .damaged import Damaged, refuse_unreadable
from .onnx_weights import read_onnx
from .places import model_in
from .safetensors_file import is_safetensors, read_safetensors

# What torchreid puts into a checkpoint beside tensors (`rank1`). They build a number from bytes and run nothing.
NUMPY_SCALARS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (np._core.multiarray.scalar, 'numpy.core.multiarray.scalar'),
    (np._core.multiarray.scalar, 'numpy._core.multiarray.scalar'),
    np.dtype,
    type(np.dtype(np.float64)),
    type(np.dtype(np.float32)),
]
_ONNX = re.compile(rb'\x08[\x01-\x3f][\x12\x3a\x42]')  # a file's first bytes: the format's version, the next field


class _Excessive(Exception):
    """An archive that declares more than it holds; the text tells what."""


def read_checkpoint(path: str | Path) -> dict:
    """Reads a checkpoint file as data: nothing in it is executed. An ONNX file is read as one, see `read_onnx`.

    Raises:
        UserError: if the file is missing or cannot be read now.
        Damaged: if it is damaged, declares more than it holds, or holds something else than a dictionary of tensors,
            numbers, texts and their containers.
    """
    name = printable(path)
    if is_special(path):
        raise UserError(f'{name} is a pipe or a device, not a file: name a weight file')
    try:
        with open(path, 'rb') as file:
            held = _read(file, path)
    except FileNotFoundError:
        raise UserError(f'no weight file at {name}: check the path') from None
    except IsADirectoryError:
        model = model_in(path)
        such = f', {printable(model)}' if model else ''
        raise UserError(f'{name} is a folder: name the weight file in it{such}') from None
    except PermissionError:
        raise UserError(f'no permission to read {name}') from None
    except UserError:
        raise
    except Exception as error:  # a damaged archive fails in many ways inside torch, zipfile and pickle
        refuse_unreadable(path, error)
        if kind := _exported(path):
            raise Damaged(
                f'{name} is {kind}, an exported model: name the checkpoint that it was exported from'
            ) from None
        if isinstance(error, _Excessive):
            raise Damaged(f'{name} could fill the memory, it declares {error}: get it again') from None
        if isinstance(error, pickle.UnpicklingError):
            raise Damaged(f'{name} is no weight file, or holds more than weights (nothing was executed)') from None
        raise Damaged(f'{name} is damaged or no weight file ({type(error).__name__}): get it again') from None
    if not isinstance(held, Mapping):
        raise Damaged(f'{name} holds a {type(held).__name__}, not a dictionary of weights')
    return dict(held)


def _read(file: BinaryIO, path: str | Path) -> object:
    """What an open file holds; the formats of others are opened once more by their own packages."""
    if _ONNX.match(file.read(4)):
        return read_onnx(path)
    if is_safetensors(file, path):
        return read_safetensors(path)
    _check_declared(file)
    file.seek(0)
    with torch.serialization.safe_globals(NUMPY_SCALARS), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of others' files: the error says what they are
        return torch.load(file, map_location='cpu', weights_only=True)


def _check_declared(file: BinaryIO) -> None:
    """Refuses an archive whose entries are larger than the file: torch writes them as they are, uncompressed.

    A file of before torch 1.6 is no archive, and passes.
    """
    file.seek(0)
    if file.read(2) != b'PK':
        return
    with zipfile.ZipFile(file) as archive:
        declared, size = sum(entry.file_size for entry in archive.infolist()), file.seek(0, 2)
    if declared > size:
        raise _Excessive(f'entries of {declared} bytes in a file of {size}')


def _exported(path: str | Path) -> str:
    """What an archive is that torch has exported a program to; an empty string for anything else."""
    with contextlib.suppress(zipfile.BadZipFile, ValueError, NotImplementedError), zipfile.ZipFile(path) as archive:
        names = {name.partition('/')[2] for name in archive.namelist()}  # without the folder that all are in
        if 'constants.pkl' in names and any(name.startswith('code/') for name in names):
            return 'a TorchScript program'
        if 'archive_format' in names or 'serialized_exported_program.json' in {*names, *archive.namelist()}:
            return 'a file of torch.export'
    return ''
