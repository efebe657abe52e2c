"""Groups the crops of a folder by person, without labels: a CSV file, and contact sheets of the largest groups."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.csv_text import csv_text
from ..runtime.errors import printable
from . import command

if TYPE_CHECKING:
    from ..run.trained import Trained

DESCRIPTION = """\
Groups the crops of a folder by person, without labels and without knowing how many persons there are.

Writes a CSV file with the columns file and group, the largest group first, and pictures of the largest groups beside
it: groups_1.png, groups_2.png, ... The groups are a model's guess. Look at the pictures before you rely on them."""

AUTO, NONE = 'auto', 'none'

EXAMPLE = """\
log/paul_folder crops groups.csv
log/paul_folder descriptors.npz groups.csv --neighbours 20 --threshold 0.3"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = command.make_parser(DESCRIPTION, EXAMPLE)
    command.add_trained(parser)
    parser.add_argument('folder', metavar='FOLDER', help='folder of crops, or a file that paul extract wrote')
    parser.add_argument('target', metavar='TARGET', type=Path, help='the file to write, .csv')
    number = command.at_least(1)
    parser.add_argument(
        '--neighbours', type=number, default=10, help='about as many crops as there are of a person (default: 10)'
    )
    parser.add_argument(
        '--overlap',
        type=_share,
        default=0.15,
        help='share of neighbours that the crops of two groups have in common to be joined (default: 0.15)',
    )
    parser.add_argument(
        '--threshold',
        type=_threshold_or_word,
        default=AUTO,
        metavar='T',
        help='crops at this distance or more are never linked, so that who is there once can stay alone: a number, '
        "none, or auto: the distance that 1 %% of the run's labelled pairs of different persons are under, if it has "
        'such labels, which are described then (default: auto)',
    )
    parser.add_argument('--rows', type=number, default=20, help='groups of a picture (default: 20)')
    parser.add_argument('--sheets', type=command.at_least(0), default=5, help='at most so many pictures (default: 5)')
    parser.add_argument('--pixels', type=number, default=120, help='height of a crop in a picture (default: 120)')
    parser.add_argument('--force', action='store_true', help='write over TARGET and its pictures')
    return parser.parse_args(argv)


def _share(text: str) -> float:
    """The type of a share above 0."""
    share = command.number(text)
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f'must be above 0 and at most 1, got {text}')
    return share


def _threshold_or_word(text: str) -> str:
    """The type of a distance, or one of the two words."""
    if text not in (AUTO, NONE):
        command.number(text)
    return text


def run(arguments: argparse.Namespace) -> None:
    """Writes the groups and their pictures that the arguments ask for."""
    from ..deploy.grouping import group
    from ..deploy.search import model_for, read_gallery
    from ..runtime.files import write_atomically

    target = arguments.target
    _check(arguments)
    trained = model_for(command.trained_of(arguments), arguments.folder)
    paths, descriptors = read_gallery(trained, arguments.folder)
    threshold = _threshold(trained, arguments.threshold)
    _warn_of_few(len(paths), arguments.neighbours, threshold)
    numbers = group(trained, descriptors, arguments.neighbours, arguments.overlap, threshold)
    groups: dict[int, list[str]] = {}
    for number, path in sorted(zip(numbers.tolist(), paths, strict=True)):
        groups.setdefault(number, []).append(path)
    table = csv_text([('file', 'group'), *((path, number) for number, files in groups.items() for path in files)])
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(table.encode(errors='surrogateescape'), target)
    alone = sum(len(files) == 1 for files in groups.values())
    print(f'{printable(target)}: {len(paths)} crops in {len(groups) - alone} groups, and {alone} like no other')
    _warn_of_large(groups, arguments.neighbours)
    _draw(groups, arguments)


def _sheet(target: Path, number: int) -> Path:
    return target.with_name(f'{target.stem}_{number}.png')


def _check(arguments: argparse.Namespace) -> None:
    """Refuses what cannot be written, before the long work."""
    from ..deploy.descriptor_file import SUFFIXES, folder_of
    from ..runtime.targets import check_targets

    target, folder = arguments.target, arguments.folder
    crops = folder_of(folder) if Path(folder).suffix in SUFFIXES else folder
    inputs = [folder, *filter(None, [crops]), *filter(os.path.isfile, [arguments.run])]
    check_targets([target], arguments.force, ['.csv'], inputs)
    check_targets([_sheet(target, number + 1) for number in range(arguments.sheets)], arguments.force, inputs=inputs)


def _threshold(trained: 'Trained', asked: str) -> float | None:
    """The distance that no link may reach, which is said."""
    from ..report.thresholds.measured import labelled_threshold

    if asked != AUTO:
        return None if asked == NONE else float(asked)
    threshold, told = labelled_threshold(trained)
    print(told)
    return threshold


def _warn_of_few(crops: int, neighbours: int, threshold: float | None) -> None:
    if threshold is None and crops <= neighbours + 1:
        print(
            f'warning: {crops} crops and --neighbours {neighbours}: each crop is among the nearest of all others, '
            'whoever they show, and so all are one group: lower --neighbours, or name a --threshold'
        )


def _warn_of_large(groups: dict[int, list[str]], neighbours: int) -> None:
    large = [len(files) for files in groups.values() if len(files) >= neighbours > 1]
    if large:
        print(
            f'warning: {len(large)} groups have as many crops as --neighbours {neighbours} or more, the largest '
            f'{large[0]}: who is on more crops than that may be in several groups: raise --neighbours'
        )


def _draw(groups: dict[int, list[str]], arguments: argparse.Namespace) -> None:
    """Writes the pictures, and removes those of an earlier grouping, which --force replaces."""
    from ..figures.groups import Group, draw_groups
    from ..figures.sheet import save_png

    shown = [Group(str(number), files) for number, files in groups.items() if len(files) > 1]
    starts = range(0, len(shown), arguments.rows)[: arguments.sheets]
    for number, start in enumerate(starts, start=1):
        path = _sheet(arguments.target, number)
        image = draw_groups(shown[start : start + arguments.rows], len(shown), pixels=arguments.pixels)
        save_png(image, path)
        print(f'Written to {printable(path)}')
    number = len(starts) + 1
    while arguments.force and (later := _sheet(arguments.target, number)).is_file():
        later.unlink()
        number += 1
