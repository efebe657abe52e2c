"""A large array of a .npz file mapped into memory, where it lies uncompressed: what is not looked at is not read."""

import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.lib import format as npy

ALIGNMENT = 64  # bytes: where an array that is to be mapped begins, by whatever type of numbers
_LOCAL_HEADER = 30  # bytes of a zip member's own header, before its name and its extra field
_ZIP64 = 20  # bytes of the extra field that tells sizes over 4 GB
_PADDING = b'\x35\xd9'  # the kind of extra field that Android's zipalign pads with, known to other programs


def aligned_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """The next member of an archive, to be opened with `force_zip64`: its bytes begin where they can be mapped.

    NumPy pads the header of a `.npy` file to 64 bytes, so that its array does so, too.
    """
    assert archive.fp is not None
    member = zipfile.ZipInfo(name)  # without the time of day
    start = archive.fp.tell() + _LOCAL_HEADER + len(name) + _ZIP64 + 4
    zeros = bytes(-start % ALIGNMENT)
    member.extra = _PADDING + len(zeros).to_bytes(2, 'little') + zeros
    return member


def load_array(path: Path, name: str) -> np.ndarray:
    """An array of a `.npz` file; NumPy's own `mmap_mode` is for `.npy` files only.

    What is mapped is not compared with its checksum. It can be written to, which does not change the file.

    Args:
        path: the file.
        name: of the array.

    Returns:
        The array: mapped if it is stored uncompressed and its numbers lie where a processor takes them, otherwise read.

    Raises:
        KeyError: if the file has no such array.
        ValueError, OSError, zipfile.BadZipFile: if it is damaged, or holds objects.
    """
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f'{name}.npy')
        with archive.open(member) as file:  # which compares the two headers of the member
            version = npy.read_magic(file)
            read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = read_header(file)
            start = file.tell()
        size = dtype.itemsize * int(np.prod(shape, dtype=object))
        if dtype.hasobject or member.file_size != start + size:
            raise ValueError(f'{name} is no plain array')
    if member.compress_type == zipfile.ZIP_STORED and size:
        start += _start_of(path, member)
        order: Literal['F', 'C'] = 'F' if fortran else 'C'
        if start % ALIGNMENT == 0:
            return np.memmap(path, dtype, 'c', start, shape, order)
        return np.fromfile(path, dtype, size // dtype.itemsize, offset=start).reshape(shape, order=order)
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[name]


def _start_of(path: Path, member: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin: its own header may be of another length than the archive's list tells."""
    with open(path, 'rb') as file:
        file.seek(member.header_offset)
        header = file.read(_LOCAL_HEADER)
    return member.header_offset + _LOCAL_HEADER + sum(int.from_bytes(header[at : at + 2], 'little') for at in (26, 28))
