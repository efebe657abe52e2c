"""Names of files that tell them apart, as short as can be."""

import os
from collections import Counter
from collections.abc import Iterable


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """For each path its shortest ending that no other of them has: the file's name, or with folders before it.

    Args:
        paths: each once or more.

    Example:
        >>> short_names(['/q/anna/1.png', '/q/bob/1.png', '/q/bob/2.png'])
        {'/q/anna/1.png': 'anna/1.png', '/q/bob/1.png': 'bob/1.png', '/q/bob/2.png': '2.png'}
    """
    parts = {path: path.replace(os.sep, '/').split('/') for path in paths}
    names, length = {}, 1
    while len(names) < len(parts):
        endings = {path: '/'.join(of[-length:]) for path, of in parts.items()}
        count = Counter(endings.values())
        for path, ending in endings.items():
            if path not in names and (count[ending] == 1 or length >= len(parts[path])):
                names[path] = ending
        length += 1
    return {path: names[path] for path in parts}
