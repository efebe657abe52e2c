"""The command line of the pictures, the curves and the report: a sub-command each.

What draws is imported by the functions that draw: the command line is read without torch.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..config import checks
from ..run import command
from ..runtime.errors import UserError, printable

if TYPE_CHECKING:
    from PIL import Image

    from ..run.trained import Trained


class Subcommand(NamedTuple):
    """A sub-command.

    Attributes:
        draw: writes the picture that the arguments ask for, and returns its path.
        help: one line.
        examples: lines of arguments.
        add_arguments: adds the sub-command's own to its parser.
        suffix: of the file.
        several: it takes the folders of several runs, and opens no model.
    """

    draw: Callable[[argparse.Namespace], Path]
    help: str
    examples: tuple[str, ...]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    suffix: str = '.png'
    several: bool = False


def target(trained: 'Trained', arguments: argparse.Namespace) -> Path:
    """Where to write: what `--out` says, or the folder of the run, or, for a bare weight file, here."""
    return arguments.out or (trained.run or Path()) / (arguments.figure + SUBCOMMANDS[arguments.figure].suffix)


def save(image: 'Image.Image', trained: 'Trained', arguments: argparse.Namespace) -> Path:
    """Writes a picture where the arguments say."""
    from ..figures.sheet import save_png

    path = target(trained, arguments)
    save_png(image, path)
    return path


def add_common(parser: argparse.ArgumentParser, images: str) -> None:
    """Adds the arguments of all pictures of images, which `common` reads."""
    parser.add_argument('--images', nargs='+', default=[], metavar='IMAGE', help=images)
    parser.add_argument('--number', type=command.at_least(1), help='how many images, where --images names none')
    parser.add_argument(
        '--seed', type=command.at_least(0), help='draws them at random (default: evenly spread, for mining 0)'
    )
    parser.add_argument(
        '--pixels', type=command.at_least(1), default=160, help='height of an image in the picture (default: 160)'
    )


def common(arguments: argparse.Namespace) -> dict[str, object]:
    """The arguments of `add_common` for a picture, which has defaults of its own for those that are not given."""
    given = {name: getattr(arguments, name) for name in ('images', 'number', 'seed')}
    return {name: value for name, value in given.items() if value is not None}


def patches(arguments: argparse.Namespace) -> Path:
    """The patches of images."""
    from .gallery import Pictures

    trained = command.trained_of(arguments)
    return save(Pictures(trained, arguments.pixels).patches(**common(arguments)), trained, arguments)


def add_patches(parser: argparse.ArgumentParser) -> None:
    add_common(parser, 'any image files, or names or numbers of training images')


def neighbours(arguments: argparse.Namespace) -> Path:
    """The nearest patches and images of the memory bank."""
    from .gallery import Pictures

    trained = command.trained_of(arguments)
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
    from .gallery import Pictures

    trained = command.trained_of(arguments)
    return save(Pictures(trained, arguments.pixels).mining(**common(arguments)), trained, arguments)


def add_mining(parser: argparse.ArgumentParser) -> None:
    add_common(parser, 'names or numbers of training images that are the first of the batch')
    parser.set_defaults(seed=0)


def ranking(arguments: argparse.Namespace) -> Path:
    """Queries of the target, or any images in any gallery, whose paths are printed."""
    from ..data.folder import check_folder
    from ..deploy.centring import centring_of
    from ..deploy.descriptor_file import SUFFIXES, folder_of
    from ..deploy.search import model_for, read_gallery, search
    from ..figures.ranking import draw_search
    from .gallery import Pictures

    if bool(arguments.query) != bool(arguments.gallery):
        raise UserError('--query and --gallery go together: the images to look for, and where to look for them')
    if arguments.camera is not None and not (arguments.query and arguments.centre_cameras):
        raise UserError(
            '--camera is that of --query, whose mean --centre-cameras takes off: give both, or leave it out'
        )
    trained = command.trained_of(arguments)
    if not arguments.query:
        if arguments.centre_cameras:
            trained.cfg.test.centre_cameras = True
            checks.check_config(trained.cfg)
        options = {'k': arguments.k, 'worst': arguments.worst}
        return save(Pictures(trained, arguments.pixels).ranking(**common(arguments), **options), trained, arguments)
    trained = model_for(trained, arguments.gallery)
    gallery = read_gallery(trained, arguments.gallery)
    centring = None
    if arguments.centre_cameras:
        of_file = Path(arguments.gallery).suffix in SUFFIXES
        top = folder_of(arguments.gallery) if of_file else check_folder(arguments.gallery)
        centring = centring_of(trained, gallery, top, arguments.camera)
    found = search(trained, arguments.query, gallery, arguments.k, centring)
    for each in found:
        print(printable(each.query))
        for caption, path in zip(each.captions, each.gallery):
            print(f'  {caption.split()[0]}  {printable(path)}')
    metric = trained.cfg.test.dist_metric
    return save(draw_search(found, len(gallery[0]), metric, arguments.pixels), trained, arguments)


def add_ranking(parser: argparse.ArgumentParser) -> None:
    add_common(parser, "names or numbers of the target's queries")
    parser.add_argument('--k', type=command.at_least(1), default=10, help='gallery images a query (default: 10)')
    parser.add_argument('--worst', action='store_true', help='take the queries of the lowest average precision')
    parser.add_argument(
        '--query', nargs='+', default=[], metavar='FILE', help='any images, to be looked for in --gallery'
    )
    parser.add_argument(
        '--gallery', metavar='FOLDER', help='folder of crops, or a file that paul extract wrote (.npz, .parquet)'
    )
    parser.add_argument(
        '--centre-cameras',
        action='store_true',
        help="take off the mean of each image's camera: of the training images, or, with --gallery, of the gallery",
    )
    parser.add_argument('--camera', metavar='NAME', help="that of --query (default: the mean over the cameras' means)")


def curves(arguments: argparse.Namespace) -> Path:
    """The curves of runs."""
    from ..figures.sheet import save_png
    from .curves import curves_of

    path = arguments.out or Path(arguments.runs[0] if len(arguments.runs) == 1 else '.') / 'curves.png'
    save_png(curves_of(arguments.runs), path)
    return path


def add_curves(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('runs', nargs='+', metavar='RUN', help='folders of runs (their data.save_dir)')


def report(arguments: argparse.Namespace) -> Path:
    """The page of a run."""
    from .gallery import run_pictures
    from .summary import make_report

    trained = command.trained_of(arguments)
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
        ('ranking log/paul_market --worst', 'ranking log/paul_market --query me.jpg --gallery crops'),
        add_ranking,
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


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = command.make_parser(
        'Draws pictures of a trained model, curves of runs, and the report of a run.',
        '\n'.join(line for figure in SUBCOMMANDS.values() for line in figure.examples),
    )
    figures = parser.add_subparsers(dest='figure', required=True, metavar='FIGURE')
    for name, figure in SUBCOMMANDS.items():
        options = {'epilog': command.examples('\n'.join(figure.examples)), 'formatter_class': parser.formatter_class}
        sub = figures.add_parser(name, help=figure.help, description=f'Draws {figure.help}.', **options)
        if not figure.several:
            command.add_trained(sub)
        figure.add_arguments(sub)
        where = f"default: {name}{figure.suffix} in the run's folder{', of several here' if figure.several else ''}"
        sub.add_argument('--out', type=Path, metavar='FILE', help=where)
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
    print(f'Written to {printable(figure.draw(arguments))}')


def main(argv: list[str] | None = None) -> None:
    """The command line: exit status 2 and one line for what the user can mend."""
    command.main(parse, run, argv)
