"""What the tools share: help with an example, the trained model that they work on, errors in one line."""

import argparse
import contextlib
import math
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from ..runtime import program, streams
from ..runtime.errors import printable
from .failures import exit_with

if TYPE_CHECKING:
    from .trained import Trained

Arguments = TypeVar('Arguments')


def make_parser(description: str, example: str) -> argparse.ArgumentParser:
    """A parser whose help ends with examples: lines of arguments, before which the program's name is written."""
    return argparse.ArgumentParser(
        prog=program.called(),
        description=wrapped(description),
        epilog=examples(example),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def wrapped(text: str) -> str:
    """Paragraphs as wide as the terminal, at most 100 columns: argparse wraps either all of a help or only the options.

    Example:
        >>> wrapped('one\\ntwo\\n\\nthree')
        'one two\\n\\nthree'
    """
    width = min(100, shutil.get_terminal_size().columns - 2)  # as argparse reckons
    return '\n\n'.join(textwrap.fill(paragraph, width, break_on_hyphens=False) for paragraph in text.split('\n\n'))


def examples(lines: str) -> str:
    """Lines of arguments as examples of this program's call."""
    return '\n'.join(['example:', *(f'  {program.called()} {line.strip()}' for line in lines.splitlines())])


def add_trained(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that name a trained model, which `trained_of` reads."""
    parser.add_argument('run', metavar='RUN', help='folder of a run (its data.save_dir), a checkpoint or a weight file')
    parser.add_argument('--height', type=at_least(0), default=0, help="height of the images (default: the run's)")
    parser.add_argument('--width', type=at_least(0), default=0, help="width of the images (default: the run's)")
    parser.add_argument('--root', help="folder that holds the data sets' folders (default: the run's data.root)")
    parser.add_argument('--opts', nargs='+', default=[], metavar='KEY VALUE', help="keys that override the run's")


def trained_of(arguments: argparse.Namespace) -> 'Trained':
    """The trained model that the arguments of `add_trained` name."""
    from .trained import open_trained

    root = () if arguments.root is None else ('data.root', arguments.root)
    return open_trained(arguments.run, arguments.height, arguments.width, (*root, *arguments.opts))


def at_least(low: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number of at least `low`."""

    def whole(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f'must be a whole number, got {printable(text)}') from None
        if value < low:
            raise argparse.ArgumentTypeError(f'must be at least {low}, got {text}')
        return value

    return whole


def number(text: str) -> float:
    """The type of an argument that is a finite number."""
    with contextlib.suppress(ValueError):
        if math.isfinite(value := float(text)):
            return value
    raise argparse.ArgumentTypeError(f'must be a number, got {printable(text)}')


def call(tool: Callable[[], None]) -> None:
    """Calls a tool's main function: one line an error and exit status 2 for what the user can mend, 130 for Ctrl-C."""
    streams.prepare()
    try:
        tool()
    except KeyboardInterrupt:
        print('stopped', file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        exit_with(error)


def main(
    parse: Callable[[Sequence[str] | None], Arguments],
    run: Callable[[Arguments], None],
    argv: Sequence[str] | None = None,
) -> None:
    """A tool from its two parts.

    Args:
        parse: reads the command line, without torch: help and what is wrong with the words come at once.
        run: does the work; it imports what that takes.
        argv: the words, by default those of the running program.
    """

    def tool() -> None:
        arguments = parse(argv)
        program.load_package()
        run(arguments)

    call(tool)
