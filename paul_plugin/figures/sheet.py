"""Contact sheets: rows of images with frames, captions and headings, a title and what is to be seen, by PIL alone."""

import colorsys
import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from ..data.images import stretched
from ..runtime.files import whole_file

Colour = tuple[int, int, int]
WHITE, TEXT, FAINT, GREY = (255, 255, 255), (25, 25, 25), (95, 95, 95), (200, 200, 200)
# Okabe and Ito's colours, which people with any colour vision tell apart
ORANGE, SKY, GREEN, YELLOW = (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66)
BLUE, VERMILLION, PURPLE = (0, 114, 178), (213, 94, 0), (204, 121, 167)
RIGHT, WRONG = GREEN, VERMILLION
_TITLE, _WORDS, _CAPTION = 26, 17, 15  # pixels, sizes of the type
_MARGIN, _SPACE, _GAP = 24, 10, 30  # around the sheet, between cells, where a new group of columns begins
_FRAME = 5  # width of a frame, and the room that is kept for it
_NARROWEST = 640  # of a sheet: a title needs room. No line of the explanation is longer: some 75 letters read well


class Cell(NamedTuple):
    """One image of a sheet.

    Attributes:
        image: None leaves the place empty, for the caption alone.
        caption: under the image; what is too long for a line goes on below it, at most twice.
        frame: colour of the frame, None for none.
    """

    image: Image.Image | None = None
    caption: str = ''
    frame: Colour | None = None


class Heading(NamedTuple):
    """A word beside a row or over a column, with the colour that stands for it."""

    text: str = ''
    colour: Colour | None = None


def palette(count: int) -> list[Colour]:
    """So many colours that are told apart: Okabe and Ito's seven, then hues in between, darker."""
    named = [ORANGE, SKY, VERMILLION, GREEN, PURPLE, YELLOW, BLUE]
    more = count - len(named)
    hues = [colorsys.hsv_to_rgb((index + 0.5) / more, 0.9, 0.6) for index in range(more)]
    return named[:count] + [tuple(round(255 * part) for part in hue) for hue in hues]


def to_height(image: Image.Image, height: int) -> Image.Image:
    """The image scaled to a height in pixels, its shape kept; grey of 16 bits is shown with contrast."""
    image = stretched(image)
    width = max(1, round(image.width * height / image.height))
    return image.resize((width, height), Image.Resampling.BICUBIC)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _width(text: str, size: int) -> int:
    return round(_font(size).getlength(text))


def _wrapped(text: str, size: int, width: int) -> list[str]:
    """Breaks a text between words into lines of at most a width, where the words allow it."""
    lines = []
    for paragraph in filter(None, text.splitlines()):
        line = ''
        for word in paragraph.split():
            longer = f'{line} {word}'.strip()
            if line and _width(longer, size) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines


def _shortened(text: str, size: int, width: int) -> str:
    """Cuts the middle out of a line that is wider than a width."""
    keep = len(text)
    short = text
    while keep > 2 and _width(short, size) > width:
        keep -= 1
        short = f'{text[: (keep + 1) // 2]}…{text[len(text) - keep // 2 :]}'
    return short


def _caption_lines(caption: str, width: int) -> list[str]:
    """A caption as it stands under a cell of a width, nothing of it cut if three lines are enough for each of its own.

    Breaks come after a space, an underscore or a hyphen, where there is one. Cut in its middle, `0.334 unknown` would
    say `known`, and names of files would lose what tells them apart.
    """
    room = width + _SPACE - 4
    lines = []
    for text in caption.splitlines():
        for _ in range(2):
            if _width(text, _CAPTION) <= room:
                break
            fits = max((end for end in range(1, len(text)) if _width(text[:end], _CAPTION) <= room), default=1)
            end = max(text.rfind(mark, 0, fits) for mark in ' _-') + 1 or fits
            lines.append(text[:end].rstrip())
            text = text[end:]
        lines.append(_shortened(text, _CAPTION, room))
    return lines


class _Grid(NamedTuple):
    """Where the cells of a sheet are: left edges and widths of columns, upper edges and image heights of rows."""

    lefts: list[int]
    widths: list[int]
    tops: list[int]
    heights: list[int]
    right: int
    bottom: int


def _lay_out(rows: Sequence[Sequence[Cell]], row_headings: Sequence[Heading], groups: Iterable[int], top: int) -> _Grid:
    columns = max(map(len, rows))
    headings = max((_width(heading.text, _WORDS) for heading in row_headings), default=0)
    left = _MARGIN + (headings + 40 if headings else 0)
    lefts, widths = [], []
    for column in range(columns):
        cells = [row[column] for row in rows if column < len(row)]
        width = max((cell.image.width for cell in cells if cell.image), default=90) + 2 * _FRAME
        left += _GAP if column in groups and column else 0
        lefts.append(left)
        widths.append(width)
        left += width + _SPACE
    tops, heights = [], []
    for row in rows:
        height = max((cell.image.height for cell in row if cell.image), default=0) + 2 * _FRAME
        lines = max(len(_caption_lines(cell.caption, width)) for cell, width in zip(row, widths))
        tops.append(top)
        heights.append(height)
        top += height + lines * (_CAPTION + 4) + _SPACE
    return _Grid(lefts, widths, tops, heights, left - _SPACE + _MARGIN, top - _SPACE + _MARGIN)


def sheet(
    title: str,
    explanation: str,
    rows: Sequence[Sequence[Cell]],
    column_headings: Sequence[Heading] = (),
    row_headings: Sequence[Heading] = (),
    groups: Iterable[int] = (),
    legend: Sequence[Heading] = (),
) -> Image.Image:
    """Draws rows of images on white.

    Args:
        title: the first line.
        explanation: under it, wrapped: what is seen, so that the picture is understood alone.
        rows: of cells, at least one; rows may be of different lengths.
        column_headings: one a column; a long one runs on over columns whose own is empty.
        row_headings: one a row.
        groups: columns that begin a group, with a gap before them.
        legend: what the colours of the frames mean.

    Returns:
        An RGB image.

    Example:
        >>> sheet('Query and gallery', 'Nearest first.', [[Cell(query), Cell(nearest, '0.21', RIGHT)]]).save('a.png')
    """
    groups = set(groups)
    right = max(_NARROWEST, _lay_out(rows, row_headings, groups, 0).right)
    words = _wrapped(explanation, _WORDS, _NARROWEST - 2 * _MARGIN)
    titles = _wrapped(title, _TITLE, right - 2 * _MARGIN)
    top = _MARGIN + len(titles) * (_TITLE + 12) + len(words) * (_WORDS + 6) + 16
    top += (_WORDS + 14 if legend else 0) + (_WORDS + 10 if column_headings else 0)
    grid = _lay_out(rows, row_headings, groups, top)
    image = Image.new('RGB', (right, grid.bottom), WHITE)
    draw = ImageDraw.Draw(image)

    y = _MARGIN - 6
    for lines, size, colour, space in ((titles, _TITLE, TEXT, 12), (words, _WORDS, FAINT, 6)):
        for line in lines:
            draw.text((_MARGIN, y), line, colour, _font(size))
            y += size + space
    x = _MARGIN
    for part in legend:
        x = _heading(draw, x, y + 6, part) + 24
    for left, heading in zip(grid.lefts, column_headings):
        _heading(draw, left + _FRAME, top - _WORDS - 10, heading)
    for row_top, height, heading in zip(grid.tops, grid.heights, row_headings):
        _heading(draw, _MARGIN, row_top + (height - _WORDS) // 2, heading)
    for row, row_top, height in zip(rows, grid.tops, grid.heights):
        for cell, left, width in zip(row, grid.lefts, grid.widths):
            _draw_cell(image, draw, cell, (left, row_top, width, height))
    return image


def _heading(draw: ImageDraw.ImageDraw, x: int, y: int, heading: Heading) -> int:
    """Draws a heading, its colour before it; returns where it ends."""
    if heading.colour is not None:
        draw.rectangle((x, y + 3, x + _WORDS - 3, y + _WORDS), heading.colour)
        x += _WORDS + 5
    draw.text((x, y), heading.text, TEXT, _font(_WORDS))
    return x + _width(heading.text, _WORDS)


def _draw_cell(image: Image.Image, draw: ImageDraw.ImageDraw, cell: Cell, box: tuple[int, int, int, int]) -> None:
    left, top, width, height = box
    middle = left + width // 2
    if cell.image is not None:
        x, y = middle - cell.image.width // 2, top + (height - cell.image.height) // 2
        if cell.frame is not None:
            outer = (x - _FRAME, y - _FRAME, x + cell.image.width + _FRAME - 1, y + cell.image.height + _FRAME - 1)
            draw.rectangle(outer, cell.frame)
        image.paste(cell.image, (x, y))
    for number, line in enumerate(_caption_lines(cell.caption, width)):
        where = middle - _width(line, _CAPTION) // 2, top + height + number * (_CAPTION + 4)
        draw.text(where, line, TEXT, _font(_CAPTION))


def save_png(image: Image.Image, path: Path) -> None:
    """Writes a picture, into a folder that is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        image.save(file, 'PNG', optimize=True)


def spread(total: int, number: int) -> list[int]:
    """So many indices below a total, evenly spread; all of them if there are no more."""
    number = min(number, total)
    return [index * total // number for index in range(number)]
