"""Descriptors of all images of a folder, in one file: resumable, and read again for searching."""

import contextlib
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor, nn
from tqdm import tqdm

from . import optional
from .checkpoints import check_target, whole_file, write_atomically
from .descriptors import describe
from .errors import UserError
from .folder import find_images
from .images import BadImage, check_images, describe_bad
from .patchnet import HEADS
from .trained import Trained

FORMATS = ('.npz', '.parquet')
CHUNK = 4096  # images that are described between two files of progress


class Extracted(NamedTuple):
    """What `extract` wrote.

    Attributes:
        path: the file.
        count: descriptors in it.
        left_out: files that are no images, or cannot be read: path -> reason.
    """

    path: Path
    count: int
    left_out: dict[str, str]


# ---- the file ------------------------------------------------------------------------------------------------------


def write_descriptors(path: Path, paths: Sequence[str], blocks: Iterable[np.ndarray], meta: dict) -> None:
    """Writes descriptors as `.npz` (arrays `paths`, `descriptors`, `meta`) or as Parquet, by the name's end.

    In Parquet the columns are `path` and `descriptor`, and `meta` is in the schema's metadata.

    Args:
        path: the file; one that is there is replaced, when the new one is whole.
        paths: N paths relative to `meta['root']`.
        blocks: (n, E) float32 each, together N rows; only one is held at a time.
        meta: with `dim`, E, and `root`; stored as a JSON text.

    Raises:
        UserError: if the file cannot be written.
    """
    write = _write_parquet if path.suffix == '.parquet' else _write_npz
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            write(file, paths, blocks, meta)
    except OSError as error:
        raise UserError(f'cannot write {path}: {error.strerror or error}') from None


def _write_npz(file: BinaryIO, paths: Sequence[str], blocks: Iterable[np.ndarray], meta: dict) -> None:
    with zipfile.ZipFile(file, 'w') as archive:

        def member(name: str) -> BinaryIO:
            return archive.open(zipfile.ZipInfo(f'{name}.npy'), 'w', force_zip64=True)  # without the time of day

        for name, values in (('meta', json.dumps(meta)), ('paths', paths)):
            with member(name) as out:
                npy.write_array(out, np.array(values, dtype=np.str_), allow_pickle=False)
        with member('descriptors') as out:
            shape = len(paths), meta['dim']
            npy.write_array_header_1_0(out, {'descr': '<f4', 'fortran_order': False, 'shape': shape})
            for block in blocks:
                out.write(block.astype('<f4', copy=False).tobytes())


def _write_parquet(file: BinaryIO, paths: Sequence[str], blocks: Iterable[np.ndarray], meta: dict) -> None:
    pyarrow, parquet = optional.load('pyarrow'), optional.load('pyarrow.parquet')
    columns = [('path', pyarrow.string()), ('descriptor', pyarrow.list_(pyarrow.float32(), meta['dim']))]
    schema = pyarrow.schema(columns, metadata={'meta': json.dumps(meta)})
    start = 0
    with parquet.ParquetWriter(file, schema) as writer:
        for block in blocks:
            rows = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(block.ravel()), meta['dim'])
            names = pyarrow.array(paths[start : start + len(block)], pyarrow.string())
            writer.write_table(pyarrow.table([names, rows], schema=schema))
            start += len(block)


def read_descriptors(path: str | Path, trained: Trained | None = None) -> tuple[list[str], Tensor]:
    """Reads what `extract` wrote; the whole of it is held in memory.

    Args:
        path: the file.
        trained: the model that its descriptors are to be compared with those of, if any.

    Returns:
        The images' paths, N, under the folder that was described, or under the file's own folder where that one is
        no longer there; and their descriptors, (N, E) float32.

    Raises:
        UserError: if it is not there, damaged, or holds something else or descriptors of another model.

    Example:
        >>> paths, descriptors = read_descriptors('descriptors.npz')
        >>> descriptors.shape
        torch.Size([19732, 1536])
    """
    paths, descriptors, meta = _read(Path(path))
    if trained is not None and any(meta.get(key) != value for key, value in _model_of(trained).items()):
        raise UserError(
            f'{path} holds descriptors of {meta["dim"]} numbers of another model than {trained.path}, or of images of '
            'another size: make it again from this one'
        )
    root = meta['root'] if os.path.isdir(meta['root']) else os.path.dirname(path)
    return [os.path.join(root, name) for name in paths], torch.from_numpy(descriptors)


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
    if path.suffix not in FORMATS:
        raise UserError(f'{path} holds no descriptors: name a file that tools/extract.py wrote, {" or ".join(FORMATS)}')
    if not path.is_file():
        raise UserError(f'no file of descriptors at {path}: tools/extract.py makes one')
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception:  # a damaged file fails in many ways inside zipfile, NumPy and pyarrow
        raise UserError(f'{path} is damaged, or not written by tools/extract.py: write it again') from None


def _meta_of_npz(path: Path) -> dict:
    with np.load(path, allow_pickle=False) as arrays:
        return json.loads(arrays['meta'].item())


def _meta_of_parquet(path: Path) -> dict:
    return json.loads(optional.load('pyarrow.parquet').read_schema(path).metadata[b'meta'])


def _read_npz(path: Path, dim: int) -> tuple[list[str], np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return arrays['paths'].tolist(), arrays['descriptors']


def _read_parquet(path: Path, dim: int) -> tuple[list[str], np.ndarray]:
    table = optional.load('pyarrow.parquet').read_table(path)
    blocks = [chunk.flatten().to_numpy() for chunk in table['descriptor'].chunks]
    return table['path'].to_pylist(), np.concatenate([np.empty(0, np.float32), *blocks]).reshape(-1, dim)


# ---- extraction ----------------------------------------------------------------------------------------------------


def list_files(folder: Path) -> list[str]:
    """The files of a tree that are not hidden, linked folders included; paths relative to it, sorted."""
    images, odd = find_images(os.path.abspath(folder))
    return sorted(os.path.relpath(path, os.path.abspath(folder)) for path in [*images, *odd['no image']])


def extract(
    trained: Trained,
    folder: str | Path,
    path: str | Path,
    batch_size: int = 64,
    workers: int = 0,
    force: bool = False,
    chunk: int = CHUNK,
) -> Extracted:
    """Describes every image of a folder, at any depth, and writes the descriptors into one file.

    After each `chunk` images their descriptors are kept in the folder PATH.parts. The same call after a kill goes on
    from there, and ends with the same bytes as one that was not killed. The folder is removed at the end; until then
    the disk holds the descriptors twice, the memory one chunk.

    Args:
        trained: the model.
        folder: of the images. What is no image, or cannot be read, is left out; hidden files are not looked at.
        path: the file to write, `.npz` or `.parquet`, outside of `folder`.
        batch_size: images at a time; with another one the last digits of a descriptor may differ.
        workers: processes that read images.
        force: write over the file, and begin anew where the kept descriptors are of another model or other images.
        chunk: images between two savings.

    Raises:
        UserError: if there is no image, the file cannot be written, or what is kept is of another model, of other
            images or another `chunk`.

    Example:
        >>> extract(open_trained('log/paul_synthetic'), 'crops', 'descriptors.npz').count
        19732
    """
    folder, path = Path(folder), Path(path)
    _check_places(folder, path, force)
    names = list_files(folder)
    model = _model_of(trained)
    parts = path.with_name(f'{path.name}.parts')
    _open_parts(parts, {'model': model, 'images': _digest_of_files(folder, names), 'chunk': chunk}, force)
    chunks = {parts / f'{start:09d}.npz': names[start : start + chunk] for start in range(0, len(names), chunk)}
    missing = {file: part for file, part in chunks.items() if not file.exists()}
    with tqdm(total=len(names), initial=len(names) - sum(map(len, missing.values())), unit=' images') as bar:
        for file, part in missing.items():
            descriptors, left_out = _describe_chunk(trained, folder, part, batch_size, workers, bar)
            _save_part(file, descriptors, left_out)

    left_out = {}
    for file in chunks:
        left_out |= json.loads(_load_part(file, 'left_out').item())
    kept = [name for name in names if name not in left_out]
    if not kept:
        shutil.rmtree(parts)
        raise UserError('\n'.join(filter(None, (f'no image in {folder} that can be read', describe_bad(left_out)))))
    blocks = (_load_part(file, 'descriptors') for file in chunks)
    meta = {**model, 'dist_metric': trained.cfg.test.dist_metric, 'root': os.path.abspath(folder)}
    write_descriptors(path, kept, blocks, meta)
    shutil.rmtree(parts)
    return Extracted(path, len(kept), left_out)


def _check_places(folder: Path, path: Path, force: bool) -> None:
    if not folder.is_dir():
        raise UserError(f'no folder of images at {folder}: check the path')
    if path.suffix not in FORMATS:
        raise UserError(f'{path} must end in {" or ".join(FORMATS)}, which names the format')
    if path.suffix == '.parquet':
        optional.load('pyarrow.parquet')
    check_target(path, force)
    if path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f'{path} lies among the images that it is to describe: name a file outside of {folder}')


def _describe_chunk(
    trained: Trained, folder: Path, names: Sequence[str], batch_size: int, workers: int, bar: tqdm
) -> tuple[np.ndarray, dict[str, str]]:
    """The descriptors of the files that are images, (n, E), and why the others are left out."""
    start = bar.n
    left_out = {name: 'its name is no Unicode text' for name in names if not _is_text(name)}
    decode = False
    while True:
        paths = {os.path.join(folder, name): name for name in names if name not in left_out}
        left_out |= {paths.pop(path): reason for path, reason in check_images(paths, decode).items()}
        blocks = [np.empty((0, trained.model.feature_dim), np.float32)]
        try:
            for block in describe(trained.model, list(paths), trained.transform(), batch_size, workers):
                blocks.append(block.numpy())
                bar.update(len(block))
        except BadImage:  # damage that the first look does not find
            bar.n = start
            if decode:
                raise
            decode = True
        else:
            bar.update(len(names) - len(paths))
            return np.concatenate(blocks), left_out


def _is_text(name: str) -> bool:
    """Whether a file name is one that can be written as text; on Linux it can be any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _model_of(trained: Trained) -> dict:
    """What tells the descriptors of one model from those of another."""
    data = trained.cfg.data
    return {
        'model': trained.cfg.model.name,
        'weights': _digest_of_weights(trained.model),
        'height': data.height,
        'width': data.width,
        'mean': list(data.norm_mean),
        'std': list(data.norm_std),
        'dim': trained.model.feature_dim,
    }


def _digest_of_weights(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        if not set(HEADS).isdisjoint(name.split('.')):
            continue  # random where the file lacks them
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy())
    return digest.hexdigest()


def _digest_of_files(folder: Path, names: Iterable[str]) -> str:
    """Tells the files by name, size and time of change."""
    digest = hashlib.sha256()
    for name in names:
        status = os.lstat(os.path.join(folder, name))
        digest.update(os.fsencode(f'{name}\0{status.st_size}\0{status.st_mtime_ns}\0'))
    return digest.hexdigest()


# ---- what is kept until the file is whole --------------------------------------------------------------------------


def _open_parts(parts: Path, manifest: dict, force: bool) -> None:
    """Goes on with the folder of what is done, or makes it.

    Raises:
        UserError: if it is of another extraction, and `force` is not given.
    """
    file = parts / 'manifest.json'
    if any(parts.glob('*.npz')):
        try:
            found = json.loads(file.read_text())
            others = [key for key in manifest if found[key] != manifest[key]]
        except (OSError, ValueError, TypeError, KeyError):
            others = ['manifest.json']
        if not others:
            return
        if not force:
            raise UserError(
                f'{parts} holds the beginning of another extraction (other {", ".join(others)}): delete it, or --force '
                'to begin anew'
            )
        shutil.rmtree(parts)
    parts.mkdir(parents=True, exist_ok=True)
    write_atomically(json.dumps(manifest), file)


def _save_part(file: Path, descriptors: np.ndarray, left_out: dict[str, str]) -> None:
    try:
        with whole_file(file) as out:
            np.savez(out, descriptors=descriptors, left_out=json.dumps(left_out))
    except OSError as error:
        raise UserError(
            f'cannot write {file}: {error.strerror or error}; what is done is kept, the same command goes on'
        ) from None


def _load_part(file: Path, name: str) -> np.ndarray:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return arrays[name]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        raise UserError(f'{file} is damaged: delete it, the same command makes it again') from None
