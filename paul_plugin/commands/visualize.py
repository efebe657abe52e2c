"""Draws pictures of a trained model (patches, neighbours, mining, rankings), curves of runs, and a run's report.

What draws is imported by the functions that draw: the command line is read without torch.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..runtime.errors import UserError, printable
from . import command
from .pictures import add_common, check_all, common, opened, save, target
from .rankings import add_ranking, ranking


class Subcommand(NamedTuple):
    """A sub-command.

    Attributes:
        draw: writes what the arguments ask for, and returns the path of the picture, or of several.
        help: one line.
        examples: lines of arguments.
        add_arguments: adds the sub-command's own to its parser.
        suffix: of the file.
        several: it takes the folders of several runs, and opens no model.
    """

    draw: Callable[[argparse.Namespace], Path | list[Path]]
    help: str
    examples: tuple[str, ...]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    suffix: str = '.png'
    several: bool = False


def patches(arguments: argparse.Namespace) -> Path:
    """The patches of images."""
    from ..report.gallery import Pictures

    trained = opened(arguments, arguments.images)
    return save(Pictures(trained, arguments.pixels).patches(**common(arguments)), trained, arguments)


def add_patches(parser: argparse.ArgumentParser) -> None:
    add_common(parser, 'any image files, or names or numbers of training images')


def neighbours(arguments: argparse.Namespace) -> Path:
    """The nearest patches and images of the memory bank."""
    from ..report.gallery import Pictures

    trained = opened(arguments, arguments.images)
    options = {'k': arguments.k, 'labels': arguments.labels}
    return save(Pictures(trained, arguments.pixels).neighbours(**common(arguments), **options), trained, arguments)


def add_neighbours(parser: argparse.ArgumentParser) -> None:
    add_common(parser, 'any image files, or names or numbers of training images')
    parser.add_argument(
        '--k', type=command.at_least(1), default=5, help='neighbours of each image and patch (default: 5)'
    )
    parser.add_argument('--labels', action='store_true', help='frame neighbours of the same and of another person')


def mining(arguments: argparse.Namespace) -> Path:
    """A batch and its mined negatives."""
    from ..report.gallery import Pictures

    trained = opened(arguments, arguments.images)
    return save(Pictures(trained, arguments.pixels).mining(**common(arguments)), trained, arguments)


def add_mining(parser: argparse.ArgumentParser) -> None:
    add_common(parser, 'names or numbers of training images that are the first of the batch')
    parser.set_defaults(seed=0)


def distances(arguments: argparse.Namespace) -> list[Path]:
    """The distances of the same and of different persons: a picture, a table, and both as numbers beside it."""
    from ..report.gallery import Pictures
    from ..report.thresholds.measured import WITHOUT_LABELS, Nearest, measure
    from ..runtime.files import write_atomically

    trained = opened(arguments, written=lambda picture: [picture, picture.with_suffix('.json')])
    measured = measure(Pictures(trained))
    out = target(trained, arguments)
    caption, columns, rows = measured.table()
    print(f'{caption}\n')
    table = [columns, *([name, *numbers] for name, numbers in rows)]
    widths = [max(map(len, column)) for column in zip(*table)]
    for first, *rest in table:
        print('  '.join([f'{first:<{widths[0]}}', *(f'{each:>{width}}' for each, width in zip(rest, widths[1:]))]))
    if isinstance(measured, Nearest):
        print(f'\n{WITHOUT_LABELS}')
    save(measured.image(), trained, arguments)
    write_atomically(json.dumps(measured.summary(), indent=1), out.with_suffix('.json'))
    return [out, out.with_suffix('.json')]


def add_distances(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def curves(arguments: argparse.Namespace) -> Path:
    """The curves of runs."""
    from ..figures.sheet import save_png
    from ..report.curves import curves_of

    path = arguments.out or Path(arguments.runs[0] if len(arguments.runs) == 1 else '.') / 'curves.png'
    check_all([path], (), arguments)
    save_png(curves_of(arguments.runs), path)
    return path


def add_curves(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('runs', nargs='+', metavar='RUN', help='folders of runs (their data.save_dir)')


def report(arguments: argparse.Namespace) -> Path:
    """The page of a run."""
    from ..report.pictures import run_pictures
    from ..report.summary import make_report

    trained = opened(arguments)
    return make_report(trained, target(trained, arguments), run_pictures(trained, arguments.pixels))


def add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--pixels', type=command.at_least(1), default=160, help='height of an image in the pictures (default: 160)'
    )


SUBCOMMANDS = {
    'patches': Subcommand(
        patches,
        "the model's patches, drawn on images, and what lies in them",
        ('patches log/paul_market', 'patches patchnet.pth --images crops/*.jpg --out patches.png'),
        add_patches,
    ),
    'neighbours': Subcommand(
        neighbours,
        'the nearest patches and the nearest images in the memory bank',
        ('neighbours log/paul_market --images me.jpg --k 8',),
        add_neighbours,
    ),
    'mining': Subcommand(
        mining,
        'cyclic ranking in a batch: anchors, surrogates, mined negatives, rejected candidates',
        ('mining log/paul_market --seed 3',),
        add_mining,
    ),
    'ranking': Subcommand(
        ranking,
        'queries and the gallery images nearest to them, or any image against a folder of crops',
        (
            'ranking log/paul_market --worst',
            'ranking log/paul_market --query me.jpg --gallery crops --threshold 0.3',
        ),
        add_ranking,
    ),
    'distances': Subcommand(
        distances,
        'distances of the same and of different persons, thresholds and the ROC curve, and writes them as JSON',
        ('distances log/paul_market',),
        add_distances,
    ),
    'curves': Subcommand(
        curves,
        'losses, mAP and Rank-1 of one or several runs over their epochs',
        ('curves log/paul_pedal log/paul_both --out curves.png',),
        add_curves,
        several=True,
    ),
    'report': Subcommand(
        report,
        'one HTML page of a run: settings, numbers before and after, curves, and all of these pictures',
        ('report log/paul_market',),
        add_report,
        suffix='.html',
    ),
}


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = command.make_parser(
        'Draws pictures of a trained model, curves of runs, and the report of a run.',
        '\n'.join(line for figure in SUBCOMMANDS.values() for line in figure.examples),
    )
    figures = parser.add_subparsers(dest='figure', required=True, metavar='FIGURE')
    for name, figure in SUBCOMMANDS.items():
        options = {'epilog': command.examples('\n'.join(figure.examples)), 'formatter_class': parser.formatter_class}
        sub = figures.add_parser(
            name, help=figure.help, description=command.wrapped(f'Draws {figure.help}.'), **options
        )
        if not figure.several:
            command.add_trained(sub)
        figure.add_arguments(sub)
        sub.set_defaults(suffix=figure.suffix)
        where = f"default: {name}{figure.suffix} in the run's folder{', of several here' if figure.several else ''}"
        sub.add_argument('--out', type=Path, metavar='FILE', help=where)
        sub.add_argument('--force', action='store_true', help='write over what the command line names')
    return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
    """Draws what the arguments ask for, and prints where it is.

    Raises:
        UserError: for what the user can mend.
    """
    figure = SUBCOMMANDS[arguments.figure]
    if arguments.out is not None and arguments.out.suffix.lower() != figure.suffix:
        out = printable(arguments.out)
        raise UserError(f'--out {out}: {arguments.figure} writes a file whose name ends in {figure.suffix}')
    drawn = figure.draw(arguments)
    for path in [drawn] if isinstance(drawn, Path) else drawn:
        print(f'Written to {printable(path)}')
