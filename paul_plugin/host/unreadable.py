"""Data that torchreid cannot read, or passes over: its errors name neither the file nor the reason."""

import os
import re
import traceback
from collections import Counter
from collections.abc import Iterable

from ..runtime.errors import printable, reason

_SUFFIXES = re.compile(r'(?i)\.(jpe?g|png|bmp|gif|tiff?|webp)$')


def is_of_torchreid(error: BaseException) -> bool:
    """Whether torchreid's code met an error, itself or in what it called; not this package's, called by torchreid."""
    names = [frame.f_globals.get('__name__', '') for frame, _ in traceback.walk_tb(error.__traceback__)]
    packages = [name.partition('.')[0] for name in names]
    ours = __name__.partition('.')[0]
    return next((package for package in reversed(packages) if package in ('torchreid', ours)), ours) == 'torchreid'


def why_unreadable(error: Exception) -> str:
    """Why torchreid could not read a data set; its errors do not name the file or the empty part, its variables do."""
    line = traceback.extract_tb(error.__traceback__)[-1].line or ''  # of a bare `assert`, which says nothing itself
    said = reason(error, 200) or line.partition('#')[0].strip()
    said = f'{type(error).__name__}: {said}'
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for variables in (frame.f_locals for frame in reversed(frames)):
        for name in ('img_path', 'img_name'):
            if isinstance(variables.get(name), str):
                return f'{printable(variables[name])}: {said}'
        parts = {part: variables.get(part) for part in ('train', 'query', 'gallery')}
        empty = [part for part, items in parts.items() if isinstance(items, list) and not items]
        if empty:
            told = getattr(variables.get('self'), '__dict__', {}).items()
            folders = {value for name, value in told if name.endswith('_dir') and isinstance(value, str)}
            lists = [items for items in parts.values() if isinstance(items, list)]
            read = {os.path.splitext(str(item[0]))[1] for items in lists for item in items}
            found = count_suffixes(filter(os.path.isdir, folders)).items()
            others = ', '.join(f'{count} {suffix}' for suffix, count in sorted(found) if suffix not in read)
            hint = f': its folders hold {others}: use the data set folder' if others else ''
            return f'no {" and no ".join(empty)} images{hint}'
    return said


def count_suffixes(folders: Iterable[str]) -> Counter[str]:
    """How many images of each suffix, written as it is, lie directly in some folders."""
    names = (name for folder in folders for name in os.listdir(folder))
    return Counter(os.path.splitext(name)[1] for name in names if _SUFFIXES.search(name))


def passed_over(paths: Iterable[str]) -> Counter[str]:
    """Images beside those that were read, by a suffix that none of these has."""
    folders, read = set(), set()
    for path in paths:
        folders.add(os.path.dirname(path))
        read.add(os.path.splitext(path)[1])
    found = count_suffixes(folder for folder in folders if os.path.isdir(folder))
    return Counter({suffix: count for suffix, count in found.items() if suffix not in read})
