"""Groups the crops of a folder by person, without labels: a CSV file, and contact sheets of the largest groups."""

import argparse
from pathlib import Path

from ..run import command
from ..runtime.csv_text import csv_text
from ..runtime.errors import UserError, printable

DESCRIPTION = """\
Groups the crops of a folder by person, without labels and without knowing how many persons there are.

Writes a CSV file with the columns file and group, the largest group first, and pictures of the largest groups beside
it: groups_1.png, groups_2.png, ... The groups are a model's guess. Look at the pictures before you rely on them."""

EXAMPLE = """\
log/paul_folder crops groups.csv
log/paul_folder descriptors.npz groups.csv --neighbours 20"""


def parse(argv: list[str] | None = None) -> argparse.Namespace:
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
    parser.add_argument('--rows', type=number, default=20, help='groups of a picture (default: 20)')
    parser.add_argument('--sheets', type=command.at_least(0), default=5, help='at most so many pictures (default: 5)')
    parser.add_argument('--pixels', type=number, default=120, help='height of a crop in a picture (default: 120)')
    parser.add_argument('--force', action='store_true', help='write over TARGET and its pictures')
    return parser.parse_args(argv)


def _share(text: str) -> float:
    """The type of a share above 0."""
    if not 0 < float(text) <= 1:
        raise argparse.ArgumentTypeError(f'must be above 0 and at most 1, got {text}')
    return float(text)


def run(arguments: argparse.Namespace) -> None:
    """Writes the groups and their pictures that the arguments ask for."""
    from ..deploy.grouping import group
    from ..deploy.search import model_for, read_gallery
    from ..figures.groups import Group, draw_groups
    from ..figures.sheet import save_png
    from ..runtime.errors import import_optional
    from ..runtime.files import check_target, write_atomically

    target = arguments.target
    if target.suffix.lower() != '.csv':
        raise UserError(f'{printable(target)} must end in .csv')
    sheets = [target.with_name(f'{target.stem}_{sheet}.png') for sheet in range(1, arguments.sheets + 1)]
    for path in (target, *sheets):
        check_target(path, arguments.force)
    import_optional('sklearn.cluster')  # refused before the long work
    trained = model_for(command.trained_of(arguments), arguments.folder)
    paths, descriptors = read_gallery(trained, arguments.folder)
    numbers = group(trained, descriptors, arguments.neighbours, arguments.overlap)
    groups: dict[int, list[str]] = {}
    for number, path in sorted(zip(numbers.tolist(), paths, strict=True)):
        groups.setdefault(number, []).append(path)
    table = csv_text([('file', 'group'), *((path, number) for number, files in groups.items() for path in files)])
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(table.encode(errors='surrogateescape'), target)
    alone = sum(len(files) == 1 for files in groups.values())
    print(f'{printable(target)}: {len(paths)} crops in {len(groups) - alone} groups, and {alone} like no other')

    shown = [Group(str(number), files) for number, files in groups.items() if len(files) > 1]
    starts = range(0, len(shown), arguments.rows)[: len(sheets)]
    for path in sheets[len(starts) :]:  # of an earlier grouping, which --force replaces
        path.unlink(missing_ok=True)
    for path, start in zip(sheets, starts):
        image = draw_groups(shown[start : start + arguments.rows], len(shown), pixels=arguments.pixels)
        save_png(image, path)
        print(f'Written to {printable(path)}')


def main(argv: list[str] | None = None) -> None:
    """The command line: exit status 2 and one line for what the user can mend."""
    command.main(parse, run, argv)
