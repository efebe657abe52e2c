"""A file of descriptors, .npz or .parquet: written row by row, read for searching."""

import contextlib
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from ..method.unit import unit_length
from ..runtime.errors import UserError, import_optional, printable
from ..runtime.files import file_of_user
from .mapped import aligned_member, load_array

SUFFIXES = ('.npz', '.parquet')


def write_descriptors(path: Path, paths: Sequence[str], blocks: Iterable[np.ndarray], meta: dict) -> None:
    """Writes descriptors as `.npz` (arrays `paths`, `descriptors`, `meta`) or as Parquet, by the name's end.

    In Parquet the columns are `path` and `descriptor`, and `meta` is in the schema's metadata.

    Args:
        path: the file; one that is there is replaced, when the new one is whole.
        paths: N paths relative to `meta['root']`.
        blocks: (n, E) float32 each, together N rows; only one is held at a time.
        meta: with `dim`, E, `root`, and `length`, 1 where the rows have it; stored as a JSON text.

    Raises:
        UserError: if the file cannot be written.
    """
    write = _write_parquet if path.suffix == '.parquet' else _write_npz
    with file_of_user(path) as file:
        write(file, paths, blocks, meta)


def _write_npz(file: BinaryIO, paths: Sequence[str], blocks: Iterable[np.ndarray], meta: dict) -> None:
    with zipfile.ZipFile(file, 'w') as archive:

        def member(name: str) -> IO[bytes]:
            return archive.open(aligned_member(archive, f'{name}.npy'), 'w', force_zip64=True)

        for name, values in (('meta', json.dumps(meta)), ('paths', paths)):
            with member(name) as out:
                npy.write_array(out, np.array(values, dtype=np.str_), allow_pickle=False)
        with member('descriptors') as out:
            shape = len(paths), meta['dim']
            npy.write_array_header_1_0(out, {'descr': '<f4', 'fortran_order': False, 'shape': shape})
            for block in blocks:
                out.write(block.astype('<f4', copy=False).tobytes())


def _write_parquet(file: BinaryIO, paths: Sequence[str], blocks: Iterable[np.ndarray], meta: dict) -> None:
    pyarrow, parquet = import_optional('pyarrow'), import_optional('pyarrow.parquet')
    columns = [('path', pyarrow.string()), ('descriptor', pyarrow.list_(pyarrow.float32(), meta['dim']))]
    schema = pyarrow.schema(columns, metadata={'meta': json.dumps(meta)})
    start = 0
    with parquet.ParquetWriter(file, schema) as writer:
        for block in blocks:
            rows = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(block.ravel()), meta['dim'])
            names = pyarrow.array(paths[start : start + len(block)], pyarrow.string())
            writer.write_table(pyarrow.table([names, rows], schema=schema))
            start += len(block)


def read_descriptors(path: str | Path) -> tuple[list[str], Tensor]:
    """Reads what `extract` wrote.

    The descriptors of a `.npz` file are mapped into memory: the system reads what is looked at, and may drop it again.
    Do not write into the file meanwhile; `extract` puts a new one in its place. Parquet is read whole, and so is a file
    of an earlier version, whose descriptors have another length.

    Args:
        path: the file.

    Returns:
        The images' paths, N, under the folder that was described, or under the file's own folder where that one is
        no longer there; and their descriptors, (N, E) float32, of length 1.

    Raises:
        UserError: if it is not there, damaged, or holds something else.

    Example:
        >>> paths, descriptors = read_descriptors('descriptors.npz')
        >>> descriptors.shape
        torch.Size([19732, 1536])
    """
    paths, descriptors, meta = _read(Path(path))
    top = os.path.join(_root_of(Path(path), meta), '')
    rows = torch.from_numpy(descriptors)
    if meta.get('length') != 1:
        rows = unit_length(rows)
    return [top + name for name in paths], rows  # of a million, os.path.join takes seconds


def folder_of(path: str | Path) -> str:
    """The folder whose images a file of descriptors describes, which its paths are relative to.

    Raises:
        UserError: as `read_meta`.
    """
    return _root_of(Path(path), read_meta(path))


def _root_of(path: Path, meta: dict) -> str:
    return meta['root'] if os.path.isdir(meta['root']) else os.path.dirname(path)


def read_meta(path: str | Path) -> dict:
    """What a file of descriptors tells about them, such as `dim`, how many numbers one has; nothing else of it is read.

    Raises:
        UserError: if it is not there, damaged, or holds something else.
    """
    path = Path(path)
    with _readable(path):
        meta = _meta_of_parquet(path) if path.suffix == '.parquet' else _meta_of_npz(path)
        if not isinstance(meta['dim'], int) or not isinstance(meta['root'], str):
            raise ValueError
        return meta


def _read(path: Path) -> tuple[list[str], np.ndarray, dict]:
    """Paths as they are stored, descriptors and `meta`."""
    meta = read_meta(path)
    with _readable(path):
        paths, descriptors = (_read_parquet if path.suffix == '.parquet' else _read_npz)(path, meta['dim'])
        if descriptors.dtype != np.float32 or descriptors.shape != (len(paths), meta['dim']):
            raise ValueError
        return paths, descriptors, meta


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Says in one line why a file cannot be read."""
    if path.suffix not in SUFFIXES:
        raise UserError(
            f'{printable(path)} holds no descriptors: name a file that paul extract wrote, {" or ".join(SUFFIXES)}'
        )
    if not path.is_file():
        raise UserError(f'no file of descriptors at {printable(path)}: paul extract makes one')
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception:  # a damaged file fails in many ways inside zipfile, NumPy and pyarrow
        raise UserError(f'{printable(path)} is damaged, or not written by paul extract: write it again') from None


def _meta_of_npz(path: Path) -> dict:
    with np.load(path, allow_pickle=False) as arrays:
        return json.loads(arrays['meta'].item())


def _meta_of_parquet(path: Path) -> dict:
    return json.loads(import_optional('pyarrow.parquet').read_schema(path).metadata[b'meta'])


def _read_npz(path: Path, dim: int) -> tuple[list[str], np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        paths = arrays['paths'].tolist()
    return paths, load_array(path, 'descriptors')


def _read_parquet(path: Path, dim: int) -> tuple[list[str], np.ndarray]:
    table = import_optional('pyarrow.parquet').read_table(path)
    blocks = [chunk.flatten().to_numpy() for chunk in table['descriptor'].chunks]
    return table['path'].to_pylist(), np.concatenate([np.empty(0, np.float32), *blocks]).reshape(-1, dim)
