"""What the command lines of several pictures share: which images, and where the picture is written."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import command

if TYPE_CHECKING:
    from PIL import Image

    from ..run.trained import Trained


def target(trained: 'Trained', arguments: argparse.Namespace) -> Path:
    """Where to write: what `--out` says, or the folder of the run, or, for a bare weight file, here."""
    return arguments.out or (trained.run or Path()) / f'{arguments.figure}{arguments.suffix}'


def opened(
    arguments: argparse.Namespace,
    inputs: Sequence[str] = (),
    beside: Sequence[Path] = (),
    written: Callable[[Path], Sequence[Path]] = lambda picture: [picture],
) -> 'Trained':
    """The trained model, where all that is to be written can be: before the work.

    What `--out` and others name must not be there without `--force`; the tool's own names in the run's folder may.

    Args:
        arguments: of `add_trained` and of `--out` and `--force`.
        inputs: files and folders that are read, beside the model.
        beside: what else is written, by names of its own.
        written: the picture's path -> all that is written by its name.

    Raises:
        UserError: as `check_targets`.
    """
    trained = command.trained_of(arguments)
    pictures = written(target(trained, arguments))
    check_all(pictures, beside, arguments, [*inputs, trained.path])
    return trained


def check_all(
    pictures: Sequence[Path], beside: Sequence[Path], arguments: argparse.Namespace, inputs: Sequence[str | Path] = ()
) -> None:
    """Refuses what cannot be written, the picture's default name not because it is there."""
    from ..runtime.targets import check_targets

    check_targets([*pictures, *beside], True, inputs=inputs)
    check_targets([*(pictures if arguments.out else ()), *beside], arguments.force, inputs=inputs)


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
