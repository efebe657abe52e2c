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
    said = f'{type(error).__name__}: {reason(error, 200) or line.partition("#")[0].strip()}'
    for frame, _ in reversed([*traceback.walk_tb(error.__traceback__)]):
        path = next((frame.f_locals[name] for name in ('img_path', 'img_name') if name in frame.f_locals), None)
        if isinstance(path, str):
            return f'{printable(path)}: {said}'
        parts = {part: frame.f_locals.get(part) for part in ('train', 'query', 'gallery')}
        if empty := [part for part, items in parts.items() if isinstance(items, list) and not items]:
            return f'no {" and no ".join(empty)} images of the names that torchreid reads'
    return said


def passed_over(paths: Iterable[str]) -> Counter[str]:
    """Images beside those that were read: how many of each suffix, as it is written, that none of these has."""
    folders, read = set(), set()
    for path in paths:
        folders.add(os.path.dirname(path))
        read.add(os.path.splitext(path)[1])
    names = (name for folder in filter(os.path.isdir, folders) for name in os.listdir(folder))
    found = Counter(os.path.splitext(name)[1] for name in names if _SUFFIXES.search(name))
    return Counter({suffix: count for suffix, count in found.items() if suffix not in read})
