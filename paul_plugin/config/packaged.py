"""The configs that come with the package, found by name."""

import os
from pathlib import Path

from ..runtime.errors import nearest

SUFFIXES = ('.yaml', '.yml')
_PACKAGE = Path(__file__).parents[1]


def folder() -> Path:
    """Where they are: in the package, or in a checkout beside it."""
    inside = _PACKAGE / 'configs'
    return inside if inside.is_dir() else _PACKAGE.parent / 'configs'


def names() -> list[str]:
    """Their names, without the suffix."""
    return sorted(path.stem for path in folder().glob('*.yaml'))


def is_known(text: str) -> bool:
    """Whether a word is a file's path, or the name of a config."""
    return os.path.isfile(text) or find(text) != text


def find(text: str) -> str:
    """The file that a word means: the one at that path, or the config of that name, with or without `.yaml`.

    Another word comes back as it is.

    Example:
        >>> find('paul_market')
        '/usr/lib/python3/site-packages/paul_plugin/configs/paul_market.yaml'
    """
    is_path = os.path.exists(text) and not os.path.isdir(text)
    name = text.removesuffix('.yaml')
    return str(folder() / f'{name}.yaml') if not is_path and name in names() else text


def hint(path: str) -> str:
    """For the complaint about a file that is not there: the nearest file beside it, or config, and what configs are."""
    beside = [other.name for other in Path(path).parent.glob('*')]
    near = nearest(Path(path).name, beside) or nearest(Path(path).stem, names())
    bare = os.path.basename(path) == path
    return near + (f': the configs that come with the package are {", ".join(names())}' if bare else '')
