"""Descriptors of all images of a folder, in one file; a run that was killed goes on."""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from ..data.descriptors import describe
from ..data.files import find_images, say_of_runs
from ..data.images import BadImage, bad_in_words, check_images
from ..method.unit import unit_length
from ..run.trained import Trained
from ..runtime.errors import UserError, import_optional, printable
from ..runtime.files import is_unfinished, sweep, write_atomically
from ..runtime.lock import locked_while_there
from ..runtime.targets import check_targets
from .centred import cameras_in
from .descriptor_file import SUFFIXES, write_descriptors
from .fingerprint import fingerprint
from .kept_chunks import Kept, digest_of
from .onnx_runtime import at_runtime

CHUNK = 4096  # images that are described between two files of progress
_MANIFEST = 'manifest.json'  # of what the kept descriptors are
_PART = re.compile(r'\d{9,}\.npz')


class Extracted(NamedTuple):
    """What `extract` wrote.

    Attributes:
        path: the file.
        count: descriptors in it.
        left_out: files that are no images, or cannot be read: path -> reason.
        cameras: whose means were taken off the descriptors; 0 if none were.
        runtime: that computed them, `onnx` or `torch`.
    """

    path: Path
    count: int
    left_out: dict[str, str]
    cameras: int = 0
    runtime: str = 'torch'


def list_files(top: str) -> tuple[list[str], list[str]]:
    """The images of a tree, linked folders included, and all files in it that are not hidden, relative to it, sorted.

    The folders that runs write to are left out, which is said.
    """
    images, odd = find_images(top)
    say_of_runs(odd, top)
    return images, sorted(os.path.relpath(path, top) for path in [*images, *odd['no image']])


def extract(
    trained: Trained,
    folder: str | Path,
    path: str | Path,
    batch_size: int = 64,
    workers: int = 0,
    force: bool = False,
    chunk: int = CHUNK,
    centre_cameras: bool = False,
    runtime: str = 'auto',
) -> Extracted:
    """Describes every image of a folder, at any depth, and writes the descriptors, of length 1, into one file.

    After each `chunk` images their descriptors are kept in the folder PATH.parts. The same call after a kill goes on
    from there, and ends with the same bytes as one that was not killed. The folder is removed at the end; until then
    the disk holds the descriptors twice, the memory one chunk.

    Args:
        trained: the model.
        folder: of the images. What is no image, or cannot be read, is left out; hidden files, and folders in it that
            runs write to, are not looked at.
        path: the file to write, `.npz` or `.parquet`, outside of `folder`.
        batch_size: images at a time; with another one the last digits of a descriptor may differ.
        workers: processes that read images.
        force: write over the file, and begin anew where the kept descriptors are of another model or other images.
        chunk: images between two savings.
        centre_cameras: take off each descriptor the mean of its camera in the folder; see `cameras_in`.
        runtime: `torch`, `onnx`, equal to 1e-5, or `auto`, of `at_runtime`; neither goes on with the other's work.

    Raises:
        UserError: if there is no image, the file cannot be written, what is kept is of another model, images, `chunk`
            or runtime, PATH.parts is a folder of something else, or cameras or a runtime that are needed are missing.

    Example:
        >>> extract(open_trained('log/paul_synthetic'), 'crops', 'descriptors.npz').count
        19732
    """
    folder, path, top = Path(folder), Path(path), os.path.abspath(folder)
    parts = _check_places(trained, folder, path, force)
    images, names = list_files(top)
    if centre_cameras:  # refused before the long work
        cameras_in(trained, images, top)
    model = fingerprint(trained)
    runtime, describing = at_runtime(runtime, trained, len(names))
    manifest = {'model': model, 'images': _digest_of_files(folder, names), 'chunk': chunk, 'runtime': runtime}
    with locked_while_there(parts, f'another extraction writes {printable(path)}: wait for it, or name another file'):
        check_targets([path], force)  # another may have written it since
        _open_parts(parts, manifest, force)
        shares = {parts / f'{start:09d}.npz': names[start : start + chunk] for start in range(0, len(names), chunk)}
        kept_parts = Kept(digest_of(manifest), [*shares])
        _describe_missing(describing, folder, shares, kept_parts, batch_size, workers)
        left_out = kept_parts.left_out()
        kept = [name for name in names if name not in left_out]
        if not kept:
            _remove_parts(parts)
            raise UserError(f'no image in {printable(folder)} that can be read\n{bad_in_words(left_out)}'.strip())
        meta = {**model, 'length': 1, 'dist_metric': trained.cfg.test.dist_metric, 'root': top}
        cameras = _write(trained, path, kept, kept_parts, meta, centre_cameras)
        _remove_parts(parts)
    return Extracted(path, len(kept), left_out, cameras, runtime)


def _check_places(trained: Trained, folder: Path, path: Path, force: bool) -> Path:
    """Refuses what cannot be read or written; returns the folder of what is done."""
    if not folder.is_dir():
        if folder.exists():
            raise UserError(f'{printable(folder)} is no folder of images but a file: name a folder')
        raise UserError(f'no folder of images at {printable(folder)}: check the path')
    check_targets([path], force, SUFFIXES, [folder, trained.path])
    if path.suffix == '.parquet':
        import_optional('pyarrow.parquet')
    parts = path.with_name(f'{path.name}.parts')
    _entries(parts)  # refuses what is no folder
    return parts


def _write(trained: Trained, path: Path, names: Sequence[str], kept: Kept, meta: dict, centre: bool) -> int:
    """Writes the file of these images; returns how many cameras' means were taken off."""
    cameras = cameras_in(trained, [os.path.join(meta['root'], name) for name in names], meta['root']) if centre else []
    write_descriptors(path, names, kept.blocks(cameras), meta | ({'centred_cameras': True} if cameras else {}))
    return len(set(cameras))


def _describe_missing(
    trained: Trained, folder: Path, shares: dict[Path, Sequence[str]], kept: Kept, batch_size: int, workers: int
) -> None:
    """Describes the shares, file of what is kept -> names, whose file is not there yet."""
    missing = {file: part for file, part in shares.items() if not kept.has(file)}
    total = sum(map(len, shares.values()))
    with tqdm(total=total, initial=total - sum(map(len, missing.values())), unit=' images') as bar:
        for file, part in missing.items():
            kept.save(file, *_describe_chunk(trained, folder, part, batch_size, workers, bar))


def _describe_chunk(
    trained: Trained, folder: Path, names: Sequence[str], batch_size: int, workers: int, bar: tqdm
) -> tuple[np.ndarray, dict[str, str]]:
    """The descriptors of the files that are images, (n, E), of length 1, and why the others are left out."""
    start = bar.n
    # On Linux a name can be any bytes.
    no_text = [name for name in names if name.encode(errors='replace').decode() != name]
    left_out = dict.fromkeys(no_text, 'its name is no Unicode text')
    decode = False
    while True:
        paths = {os.path.join(folder, name): name for name in names if name not in left_out}
        bad = check_images(paths, decode)
        left_out |= {paths.pop(path): reason for path, reason in bad.items()}
        blocks = [np.empty((0, trained.model.feature_dim), np.float32)]
        try:
            for block in describe(trained.model, list(paths), trained.transform(), batch_size, workers):
                blocks.append(unit_length(block).numpy())
                bar.update(len(block))
        except BadImage:  # damage that the first look does not find, or a file that is gone since
            bar.n = start
            if decode and not bad:
                raise
            decode = True
        else:
            bar.update(len(names) - len(paths))
            return np.concatenate(blocks), left_out


def _digest_of_files(folder: Path, names: Iterable[str]) -> str:
    """Tells the files by name, size and time of change; one that is gone meanwhile has neither."""
    digest = hashlib.sha256()
    for name in names:
        try:
            status = os.lstat(os.path.join(folder, name))
            told = f'{status.st_size}\0{status.st_mtime_ns}'
        except OSError:
            told = ''
        digest.update(os.fsencode(f'{name}\0{told}\0'))
    return digest.hexdigest()


def _open_parts(parts: Path, manifest: dict, force: bool) -> None:
    """Goes on with the folder of what is done, or makes it.

    Raises:
        UserError: if it is of another extraction, and `force` is not given, or of none.
    """
    file = parts / _MANIFEST
    if any(not is_unfinished(name) for name in _entries(parts)):
        try:
            found = json.loads(file.read_text())
        except (OSError, ValueError, RecursionError):
            found = None
        if isinstance(found, dict):  # before there was a choice, it was torch
            found.setdefault('runtime', 'torch')
        if not isinstance(found, dict) or found.keys() != manifest.keys():
            raise UserError(
                f'{printable(parts)} is not of an extraction, which would keep there what is done: move it, or give '
                'another name than the one before .parts'
            )
        others = [key for key in manifest if found[key] != manifest[key]]
        begun = any(map(_PART.fullmatch, _entries(parts)))
        if begun and not others:
            return
        if begun and not force:
            raise UserError(
                f'{printable(parts)} holds the beginning of another extraction (other {", ".join(others)}): delete it, '
                'or --force to begin anew'
            )
        _remove_parts(parts)
    parts.mkdir(parents=True, exist_ok=True)
    write_atomically(json.dumps(manifest), file)


def _entries(parts: Path) -> list[str]:
    try:
        return os.listdir(parts)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(
            f'{parts} is needed for what is done and cannot be opened ({error.strerror}): move it'
        ) from None


def _remove_parts(parts: Path) -> None:
    """Removes what an extraction has made there, the manifest last, and the folder if nothing else lies in it."""
    sweep(parts)
    for name in sorted(filter(_PART.fullmatch, _entries(parts))):
        (parts / name).unlink()
    (parts / _MANIFEST).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        parts.rmdir()
