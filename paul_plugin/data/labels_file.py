"""The CSV file of labels: persons and cameras of a folder's images, in the encodings and separators of its writers."""

import codecs
import csv
import io
import os
import unicodedata
from typing import NamedTuple

from ..runtime.errors import UserError, printable, show
from .ids import as_id, is_rounded

COLUMNS = ('path', 'pid', 'camid')
_SEPARATORS = ',;\t|'
_MARKS = ((codecs.BOM_UTF8, 'utf-8-sig'), (codecs.BOM_UTF16_LE, 'utf-16'), (codecs.BOM_UTF16_BE, 'utf-16'))


class Labelled(NamedTuple):
    """An image to test on, its person and camera by any names."""

    path: str
    person: str
    camera: str

    def in_words(self, top: str) -> str:
        """How it was read, by its path within the folder."""
        name = printable(os.path.relpath(self.path, top))
        return f'{name}: person {printable(self.person)}, camera {printable(self.camera)}'


def read_labels(path: str, top: str) -> list[Labelled]:
    """The images that a CSV file lists; one without a person is to train on.

    Persons and cameras are what `as_id` makes of them. A path that names no file as it is written is tried with
    slashes in the place of backslashes, and with its accents spelt in the other way.

    Args:
        path: UTF-8 or UTF-16, with the header `path,pid,camid`, or the same with semicolons, tabs or bars; other
            columns are passed over.
        top: the absolute path of the folder that holds the images, from which relative paths start.

    Raises:
        UserError: if it cannot be read, or for the first bad line.
    """
    name = printable(path)
    if not os.path.isfile(path):
        raise UserError(f'no file {name} (folder.labels)')
    text = _text(path)
    items = {}
    rows = csv.DictReader(io.StringIO(text, newline=''), strict=True, delimiter=_separator(text))
    try:
        rows.fieldnames = [column.strip() for column in rows.fieldnames or ()]
        missing = [column for column in COLUMNS if column not in rows.fieldnames]
        if missing:
            raise UserError(
                f'{name}, line 1: no column {missing[0]}: the first line must be {",".join(COLUMNS)}, '
                f'got {show(",".join(rows.fieldnames))}'
            )
        for row in rows:
            item = _labelled(row, top, f'{name}, line {rows.line_num}')
            if item.path in items:
                raise UserError(f'{name}, line {rows.line_num}: {show(row["path"])} is listed twice')
            items[item.path] = item
    except csv.Error as error:
        raise UserError(f'{name}, line {rows.reader.line_num}: {error} (folder.labels)') from None
    return list(items.values())


def _text(path: str) -> str:
    """What the file says. Its first letter is that of a column: a null byte beside it is UTF-16 without its mark."""
    name = printable(path)
    try:
        with open(path, 'rb') as file:
            content = file.read()
    except OSError as error:
        raise UserError(f'cannot read {name}: {error.strerror} (folder.labels)') from None
    encoding = {(True, False): 'utf-16-be', (False, True): 'utf-16-le'}.get(
        (content[:1] == b'\0', content[1:2] == b'\0'), 'utf-8'
    )
    encoding = next((known for mark, known in _MARKS if content.startswith(mark)), encoding)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise UserError(
            f'cannot read {name}: it is not UTF-8 text, nor UTF-16: save it as UTF-8 (a spreadsheet calls it CSV '
            'UTF-8), or convert it, such as by iconv -f GBK -t UTF-8 (folder.labels)'
        ) from None


def _separator(text: str) -> str:
    """The first by which the first line has all columns; a comma where none does."""
    first = text.partition('\n')[0]
    for separator in _SEPARATORS:
        if {*COLUMNS} <= {field.strip(' \r"') for field in first.split(separator)}:
            return separator
    return ','


def _labelled(row: dict[str | None, str | None], top: str, where: str) -> Labelled:
    """The image of a row."""
    if None in row or None in row.values():
        raise UserError(f'{where}: it has not as many fields as the first line')
    person, camera = as_id(row['pid']), as_id(row['camid'])
    for column, value in (('path', row['path'].strip()), ('camid', camera)):
        if not value:
            raise UserError(f'{where}: {column} is empty{row[column].strip() and f" ({show(row[column])})"}')
    for column, value in (('pid', person), ('camid', camera)):
        if is_rounded(value):
            raise UserError(
                f'{where}: {column} {show(value)} is a number that a data frame or a spreadsheet has rounded, so that '
                'several may be one: write it as text'
            )
    return Labelled(_find(row['path'], top, where), person, camera)


def _find(given: str, top: str, where: str) -> str:
    """The absolute path of a file that is named in a row."""
    spelt = [other for name in (given, given.replace('\\', '/')) for other in (name, *_accents(name))]
    paths = [os.path.abspath(os.path.join(top, name)) for name in spelt]
    inside = [path for path in paths if path.startswith(os.path.join(top, ''))]
    found = next(filter(os.path.isfile, inside), None)
    if found:
        return found
    if paths[0] not in inside:
        raise UserError(f'{where}: {show(given)} is not in the folder {printable(top)}: put the image there')
    absolute = ', whose paths begin in it, such as day/1.jpg' if '\\' in given else ''
    raise UserError(f'{where}: no file {show(given)} in the folder {printable(top)}{absolute}')


def _accents(name: str) -> tuple[str, str]:
    """A letter and its accent are one character or two, by the system that wrote the name."""
    return unicodedata.normalize('NFC', name), unicodedata.normalize('NFD', name)
