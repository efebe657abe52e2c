"""The names of persons and cameras as the user means them, whatever a data frame or a spreadsheet made of them."""

import re
import unicodedata

from ..runtime.errors import printable

# What data frames write for nothing. A person can be called Nan or Null: no other spelling is among them.
_NOTHING = frozenset(('nan', 'NaN', 'None', '<NA>', 'NaT', 'null', 'NULL'))
_WHOLE = re.compile(r'([+-]?[0-9]+)\.0+')
_ROUNDED = re.compile(r'[+-]?[0-9]+([.,][0-9]+)?[eE]\+[0-9]+')


def normal(name: str) -> str:
    """The same name can be spelt in two ways, by the system that wrote it."""
    return unicodedata.normalize('NFC', name)


def as_id(text: str) -> str:
    """A name as it was before a data frame made a number of it, or nothing where it wrote that there is none.

    A column of whole numbers with an empty cell becomes one of floats: 7 is written as 7.0, and the cell as nan.

    Example:
        >>> as_id('-1.0'), as_id(' nan'), as_id('anna'), as_id('1.5')
        ('-1', '', 'anna', '1.5')
    """
    name = normal(text.strip())
    whole = _WHOLE.fullmatch(name)
    return '' if name in _NOTHING else whole[1] if whole else name


def is_rounded(name: str) -> bool:
    """Whether a name is a number that was too long for who wrote it: 1.23457E+11 stands for many."""
    return _ROUNDED.fullmatch(name) is not None


def person_name(dataset: object, pid: int) -> str:
    """A person of a data set of torchreid by the user's name for it, if it keeps one, otherwise by its number."""
    people = getattr(dataset, 'people', None)
    return printable(people[pid]) if people else str(pid)


def camera_name(dataset: object, camid: int) -> str:
    """The same of a camera; torchreid's data sets number theirs from 0 on, the names of their files from 1 on."""
    cameras = getattr(dataset, 'cameras', None)
    return printable(cameras[camid]) if cameras else str(camid + 1)
