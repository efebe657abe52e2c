"""The images in a tree of folders, what else lies there, and which files are copies of others."""

import hashlib
import os
import re
from collections import defaultdict, deque
from collections.abc import Container, Iterable
from concurrent.futures import ThreadPoolExecutor

from ..runtime.errors import UserError, printable
from .images import is_image

_LISTED = 5  # files of each kind that are named
_THREADS = 8  # they wait for a network disk together
_LOG = re.compile(r'(train|test)\.log-\d{4}-\d\d-\d\d')  # it tells the folder of a run
OF_RUN = 'folder that a run writes to'
Odd = dict[str, list[str]]  # what was left out: kind -> absolute paths


def find_images(top: str, skip: Container[str] = (), outputs: Iterable[str] = ()) -> tuple[list[str], Odd]:
    """The images in a tree, sorted by path, and what else lies in it, kind -> paths.

    An image has an image's suffix, damaged or not, or an image's header. A folder that several links lead to is read
    once, by its own name before any link.

    Args:
        top: the folder.
        skip: paths in it that are not looked at.
        outputs: folders that a run is to write to, by any path, there or not. Pictures that runs have drawn are no
            crops: these folders, and those in the tree that the log of a run tells, are left out.

    Raises:
        UserError: if the folder itself is one of `outputs`.
    """
    images, odd = [], defaultdict(list)
    read = set()
    written = {_identity(os.stat(path)) for path in outputs if os.path.isdir(path)}
    folders = deque([top])
    while folders:
        folder = folders.popleft()
        try:
            status = os.stat(folder)
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            odd['folder that cannot be opened'].append(folder)
            continue
        identity = _identity(status)
        if identity in read:
            odd['link to a folder that is read already'].append(folder)
            continue
        read.add(identity)
        if identity in written and folder == top:
            raise UserError(f'the crops in {printable(top)} are where the run writes to: choose another data.save_dir')
        of_run = folder != top and any(_LOG.match(entry.name) for entry in entries)
        if identity in written or of_run:
            odd[OF_RUN].append(folder)
            continue
        for entry in entries:
            if entry.path in skip:
                continue
            if entry.name.startswith('.'):
                odd['hidden'].append(entry.path)
            elif os.path.isdir(entry.path):  # not entry.is_dir(), which fails at a link to itself
                (folders.append if entry.is_symlink() else folders.appendleft)(entry.path)
            elif is_image(entry.path):
                images.append(entry.path)
            else:
                odd['no image'].append(entry.path)
    return sorted(images), defaultdict(list, {kind: sorted(files) for kind, files in odd.items()})


def _identity(status: os.stat_result) -> tuple[int, int]:
    """A folder's, by whatever links it is reached."""
    return status.st_dev, status.st_ino


def find_copies(paths: Iterable[str]) -> dict[str, str]:
    """Files with the same bytes as a file before them, and for each the first of these."""
    of_size = defaultdict(list)
    for path in paths:
        if os.path.isfile(path):
            of_size[os.path.getsize(path)].append(path)
    candidates = [path for same in of_size.values() if len(same) > 1 for path in same]
    first, copies = {}, {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for path, digest in zip(candidates, pool.map(_digest, candidates), strict=True):
            if first.setdefault(digest, path) != path and digest:
                copies[path] = first[digest]
    return copies


def _digest(path: str) -> str:
    """SHA-256 of a file, or nothing where it cannot be read."""
    try:
        with open(path, 'rb') as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return ''


def say_of_runs(odd: Odd, top: str) -> None:
    """Says which folders of runs were left out, if any: who finds pictures missing must see why."""
    for line in odd_in_words({OF_RUN: odd.get(OF_RUN, [])}, top, {}):
        print(line)


def odd_in_words(odd: Odd, top: str, copies: dict[str, str]) -> list[str]:
    """What was left out of a folder, a line for each kind: how many, and the first of them."""
    lines = []
    for kind, files in odd.items():
        if files:
            named = ', '.join(_describe(file, top, copies) for file in files[:_LISTED])
            lines.append(f'  left out: {kind} ({len(files)}): {named}{", ..." if len(files) > _LISTED else ""}')
    return lines


def _describe(file: str, top: str, copies: dict[str, str]) -> str:
    """A file by its path within the folder, and of a copy what it is a copy of."""
    name = printable(os.path.relpath(file, top))
    return f'{name} (= {printable(os.path.relpath(copies[file], top))})' if file in copies else name
