"""The command `paul`: its verbs, one table, and which of them a command line calls."""

import importlib
import importlib.metadata
import sys
from collections.abc import Sequence

from ..runtime import streams
from ..runtime.errors import nearest, printable
from ..version import __version__
from . import command

# Verb -> help, one line. The module of that name does it, see `command.Verb`; importing that must not import torch.
VERBS = {
    'train': 'train a model, or adapt one to new cameras without labels, and test it',
    'visualize': "pictures of a trained model, curves of runs, a run's report",
    'extract': 'describe every image of a folder, into one file',
    'group': 'group the crops of a folder by person, without labels',
    'export': 'write a trained model as one file that runs without this package',
    'ablate': 'make a table of the paper on any data set',
    'convert': 'convert a checkpoint of the 2019 release, and back',
    'benchmark': 'time the parts of the method on this machine',
}
_HELP = """\
usage: {called} VERB ...

PAUL, patch-based unsupervised person re-identification.

verbs:
{verbs}

{called} VERB --help tells what a verb takes,
{called} --version the versions.

example:
  {called} train paul_synthetic
"""


def usage(called: str) -> str:
    """The help of the command itself."""
    return _HELP.format(called=called, verbs='\n'.join(f'  {name:10} {help}' for name, help in VERBS.items()))


def versions() -> str:
    """The version of this package, and of those that its numbers depend on most."""
    others = ', '.join(f'{name} {importlib.metadata.version(name)}' for name in ('torch', 'torchreid'))
    return f'paul {__version__} ({others}, Python {sys.version.split()[0]})'


def call_verb(name: str, called: str, argv: Sequence[str]) -> None:
    """Calls a verb.

    Args:
        name: of VERBS.
        called: what its help says of how it was called.
        argv: its words.
    """
    sys.argv = [called, *argv]  # the help of each verb shows how it was called
    command.main(importlib.import_module(f'{__package__}.{name}'))


def main(called: str = 'paul', argv: Sequence[str] | None = None) -> None:
    """The command line.

    Args:
        called: the words that call it.
        argv: the words after that, by default those of the running program.
    """
    streams.prepare()
    verb, *words = (sys.argv[1:] if argv is None else argv) or ['--help']
    if verb in VERBS:
        call_verb(verb, f'{called} {verb}', words)
    elif verb in ('-h', '--help'):
        print(usage(called), end='')
    elif verb == '--version':
        print(versions())
    else:
        what = f'unknown verb {printable(verb)}{nearest(verb, VERBS)}: expected one of {", ".join(VERBS)}'
        print(f'error: {what}; {called} --help tells what they do', file=sys.stderr)
        sys.exit(2)
