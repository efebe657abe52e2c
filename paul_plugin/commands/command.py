"""What the verbs share: help with an example, the trained model that they work on, errors in one line."""

import argparse
import contextlib
import math
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from ..runtime import streams
from ..runtime.allocator import keep_large_blocks
from ..runtime.errors import printable
from .failures import exit_with

if TYPE_CHECKING:
    from ..run.trained import Trained


def called() -> str:
    """The words that call this program, for its help: `paul train`, or `python tools/main.py`."""
    return f'python {sys.argv[0]}' if sys.argv[0].endswith('.py') else sys.argv[0]


def load_package() -> None:
    """Executes `paul_plugin/__init__.py` where `paul_command` has put it off, and with it imports torch."""
    package = sys.modules['paul_plugin']
    if not hasattr(package, '__version__'):
        package.__spec__.loader.exec_module(package)


class Parser(argparse.ArgumentParser):
    """argparse's, whose errors are one line, as all of this program's are, and not the usage's several before it."""

    def error(self, message: str) -> NoReturn:
        print(f'error: {printable(message)}; {self.prog} --help tells what it takes', file=sys.stderr)
        sys.exit(2)


def make_parser(description: str, example: str) -> argparse.ArgumentParser:
    """A parser whose help ends with examples: lines of arguments, before which the program's name is written."""
    return Parser(
        prog=called(),
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
    return '\n'.join(['example:', *(f'  {called()} {line.strip()}' for line in lines.splitlines())])


def add_trained(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that name a trained model, which `trained_of` reads."""
    parser.add_argument('run', metavar='RUN', help='folder of a run (its data.save_dir), a checkpoint or a weight file')
    parser.add_argument('--height', type=at_least(0), default=0, help="height of the images (default: the run's)")
    parser.add_argument('--width', type=at_least(0), default=0, help="width of the images (default: the run's)")
    parser.add_argument('--root', help="folder that holds the data sets' folders (default: the run's data.root)")
    parser.add_argument('--opts', nargs='+', default=[], metavar='KEY VALUE', help="keys that override the run's")


def trained_of(arguments: argparse.Namespace) -> 'Trained':
    """The trained model that the arguments of `add_trained` name."""
    from ..run.trained import open_trained

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


class Verb(Protocol):
    """A module of this room that holds what a verb does."""

    def parse(self, argv: Sequence[str]) -> Any:
        """Reads the command line, without torch: help and what is wrong with the words come at once."""

    def run(self, arguments: Any) -> None:
        """Does the work, and imports what that takes."""


def main(verb: Verb, argv: Sequence[str] | None = None) -> None:
    """A verb as a program; `argv` is by default that of the running one."""

    def tool() -> None:
        arguments = verb.parse(sys.argv[1:] if argv is None else argv)
        load_package()
        keep_large_blocks()
        verb.run(arguments)

    call(tool)
