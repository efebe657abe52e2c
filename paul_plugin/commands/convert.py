"""Converts a PatchNet checkpoint of the 2019 release into one that torchreid's own functions read, and back."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..runtime.choices import CHECKPOINT_FORMATS
from . import command

AFTERWARDS = """

patchnet.pth is then read by paul_plugin.load_weights, and by torchreid itself:
  torchreid.utils.load_pretrained_weights(model, 'patchnet.pth')
  torchreid.utils.FeatureExtractor('paul', model_path='patchnet.pth')

Weights only are written: no epoch, no optimizer. torch 1.6 or newer reads the file.
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = command.make_parser(
        'Converts a PatchNet checkpoint of the 2019 release into one that torchreid reads, and back.',
        'released.pth patchnet.pth',
    )
    parser.epilog += AFTERWARDS
    parser.add_argument('source', metavar='FROM', type=Path, help='the checkpoint to read')
    parser.add_argument('target', metavar='TO', type=Path, help='the checkpoint to write')
    parser.add_argument(
        '--to', choices=CHECKPOINT_FORMATS, help='the format to write (default: the one that FROM is not in)'
    )
    parser.add_argument('--force', action='store_true', help='write over TO')
    return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
    """Writes the checkpoint that the arguments ask for, and says what is in it."""
    from ..checkpoints.convert import convert

    print(convert(**vars(arguments)))
