"""Contact sheets of groups of crops: a row each group, the largest first."""

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from ..data.images import read_image
from .sheet import Cell, Heading, sheet, spread, to_height


class Group(NamedTuple):
    """A group: what it is called, and its files."""

    name: str
    files: list[str]


def draw_groups(groups: Sequence[Group], total: int, most: int = 12, pixels: int = 120) -> Image.Image:
    """A row each group: its name, how many crops it has, and at most `most` of them, evenly spread.

    Args:
        groups: at least one.
        total: how many there are in all.
        most: crops of a row.
        pixels: height of a crop.

    Raises:
        BadImage: for a file that cannot be read.
    """
    rows = [
        [Cell(to_height(read_image(each.files[place]), pixels)) for place in spread(len(each.files), most)]
        for each in groups
    ]
    names = f'{groups[0].name} to {groups[-1].name}' if len(groups) > 1 else groups[0].name
    some = f' Of a larger group {most} are shown.' if max(len(each.files) for each in groups) > most else ''
    return sheet(
        f'Groups {names} of {total}' if len(groups) > 1 else f'Group {names} of {total}',
        'Crops that the model takes for one person, without labels: look for rows that show several people, and for '
        f'people who are in several rows.{some}',
        rows,
        row_headings=[Heading(f'{each.name}: {len(each.files)} crops') for each in groups],
    )
