"""Files of models that are no checkpoints, told by what is in them: their names end as people like."""

import contextlib
import re
import zipfile
from pathlib import Path

_EXPORTED = 'an exported model: name the checkpoint that it was exported from'
_ONNX = re.compile(rb'\x08[\x01-\x3f][\x12\x3a\x42]')  # the version of the format, and the field that follows it


def kind_of(path: str | Path) -> str:
    """What a file is that torch does not read as a checkpoint, and the way out; an empty string for anything else.

    Raises:
        OSError: if it cannot be read.

    Example:
        >>> kind_of('model.onnx')
        'is an ONNX file, an exported model: name the checkpoint that it was exported from'
    """
    if is_onnx(path):
        return f'is an ONNX file, {_EXPORTED}'
    with open(path, 'rb') as file:
        head = file.read(4)
    return _kind_of_archive(path) if head.startswith(b'PK') else ''


def is_onnx(path: str | Path) -> bool:
    """Whether a file is of ONNX, by its first bytes.

    Raises:
        OSError: if it cannot be read.
    """
    with open(path, 'rb') as file:
        return _ONNX.match(file.read(4)) is not None


def _kind_of_archive(path: str | Path) -> str:
    with contextlib.suppress(zipfile.BadZipFile, ValueError, NotImplementedError), zipfile.ZipFile(path) as archive:
        names = {name.partition('/')[2] for name in archive.namelist()}  # without the folder that all are in
        if 'constants.pkl' in names and any(name.startswith('code/') for name in names):
            return f'is a TorchScript program, {_EXPORTED}'
        if 'archive_format' in names or 'serialized_exported_program.json' in {*names, *archive.namelist()}:
            return f'is a file of torch.export, {_EXPORTED}'
    return ''
