"""One check of the files that a tool is to write, before any work is done for them."""

import fnmatch
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from .errors import UserError, printable
from .files import is_special, whole_file

# What a run and a table of runs keep in their folder, and what tells such a folder.
_OF_RUNS = (
    'history.json', 'results.json', 'results_*.json', 'signs.json', 'config.yaml', 'config_*.yaml', 'ablation.json',
    'pretrained.pth.tar', 'train.log-*', 'test.log-*', 'model.pth.tar-*', 'model-best.pth.tar', 'kept.pth.tar',
)  # fmt: skip
_TELLING = ('model', 'history.json', 'train.log-*', 'test.log-*', 'ablation.json', 'model.pth.tar-*', 'kept.pth.tar')


def check_targets(
    targets: Iterable[str | Path],
    force: bool = False,
    suffixes: Sequence[str] = (),
    inputs: Iterable[str | Path] = (),
) -> None:
    """Refuses files that cannot be written, or that must not be.

    Args:
        targets: the files.
        force: those that are there may be written over; what a run keeps and what is read never may.
        suffixes: one of which each name must end in, if any.
        inputs: files and folders that are read; a target may be none of them, nor lie in one of the folders.

    Raises:
        UserError: for a target that is a folder or a device, named twice, an input, a file of a run, there already, or
            that cannot be made, such as for want of space or permission.
    """
    sources = [Path(os.path.realpath(path)) for path in inputs]
    seen: set[str] = set()
    for path in map(Path, targets):
        name, real = printable(path), os.path.realpath(path)
        if suffixes and path.suffix not in suffixes:
            raise UserError(f'{name} must end in {" or ".join(suffixes)}, which names the format')
        if path.is_dir():
            raise UserError(f'{name} is a folder: name the file to write')
        if is_special(path):
            raise UserError(f'{name} is a pipe or a device, not a file: name the file to write')
        if real in seen:
            raise UserError(f'{name} is to be written twice: name two files')
        seen.add(real)
        _check_inputs(path, Path(real), sources)
        if _is_of_a_run(path):
            raise UserError(f'{name} is what a run keeps in its folder: give another name')
        if os.path.lexists(path) and not force:
            raise UserError(f'{name} exists: give another name, or --force to write over it')
        try_to_write(path)


def _check_inputs(path: Path, real: Path, sources: Sequence[Path]) -> None:
    for source in sources:
        if real == source:
            raise UserError(f'{printable(path)} is read for it, and would be lost: give another name')
        if source.is_dir() and real.is_relative_to(source):
            raise UserError(
                f'{printable(path)} lies among the images that are read, and would be one of them: name a file outside '
                f'of {printable(source)}'
            )


def _is_of_a_run(path: Path) -> bool:
    """Whether it is a name of a run's own in the folder of one."""
    if not any(fnmatch.fnmatchcase(path.name, pattern) for pattern in _OF_RUNS):
        return False
    try:
        names = os.listdir(path.parent)
    except OSError:
        return False
    return any(fnmatch.filter(names, pattern) for pattern in _TELLING)


def try_to_write(path: Path) -> None:
    """Writes a little beside a path, and removes it again, in the folder that is there of those that lead to it.

    Raises:
        UserError: by the path's own name, if that cannot be done.
    """
    folder = path.parent
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    try:
        with whole_file(folder / path.name) as file:
            file.write(bytes(4096))
            file.flush()
            raise _Tried
    except _Tried:
        pass
    except OSError as error:
        raise UserError(f'cannot write {printable(path)}: {error.strerror or error}') from None


class _Tried(Exception):
    """Ends the trial: what was written of it is removed."""
