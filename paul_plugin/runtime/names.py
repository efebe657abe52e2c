"""Names of files that tell them apart, as short as can be."""

import os
from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias

PathLike: TypeAlias = str | os.PathLike[str]


def short_names(paths: Iterable[str], among: Iterable[str] = ()) -> dict[str, str]:
    """For each path its shortest ending that no other has: the file's name, or with folders before it.

    Args:
        paths: each once or more.
        among: others that it is to be told from, as many as you like.

    Example:
        >>> short_names(['/q/anna/1.png', '/q/bob/1.png', '/q/bob/2.png'])
        {'/q/anna/1.png': 'anna/1.png', '/q/bob/1.png': 'bob/1.png', '/q/bob/2.png': '2.png'}
    """
    own = dict.fromkeys(paths)
    names: dict[str, str] = {}
    others, length = {*own, *among}, 1
    while len(names) < len(own):
        wanted = {path: _ending(path, length) for path in own if path not in names}
        endings = {*wanted.values()}
        found = [(path, ending) for path in others if (ending := _ending(path, length)) in endings]
        count = Counter(ending for _, ending in found)
        for path, ending in wanted.items():
            if count[ending] == 1 or ending == _slashed(path):
                names[path] = ending
        others, length = {path for path, _ in found}, length + 1
    return {path: names[path] for path in own}


def one_or_more(paths: PathLike | Iterable[PathLike]) -> list[PathLike]:
    """Some paths as a list; one alone, which is not read letter by letter, as a list of one."""
    return [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)


def _ending(path: str, length: int) -> str:
    """The last so many parts of a path."""
    return '/'.join(_slashed(path).rsplit('/', length)[-length:])


def _slashed(path: str) -> str:
    return path if os.sep == '/' else path.replace(os.sep, '/')
