"""Converts a PatchNet checkpoint of the 2019 release into one that torchreid's own functions read, and back.

Example: python tools/convert_checkpoint.py released.pth patchnet.pth
"""

import argparse
from pathlib import Path

from torch import Tensor

from paul_plugin.checkpoints.weights import read_checkpoint, state_of, to_release
from paul_plugin.run import command
from paul_plugin.runtime.errors import UserError
from paul_plugin.runtime.files import check_target, save_atomically

FORMATS = ('torchreid', 'release')
PARTS = ('backbone', 'pgn', 'branches')  # what makes a PatchNet; the heads may have been left out

EPILOG = """\
example:
  python tools/convert_checkpoint.py released.pth patchnet.pth

patchnet.pth is then read by paul_plugin.load_weights, and by torchreid itself:
  torchreid.utils.load_pretrained_weights(model, 'patchnet.pth')
  torchreid.utils.FeatureExtractor('paul', model_path='patchnet.pth')

Weights only are written: no epoch, no optimizer. torch 1.6 or newer reads the file.
"""


def read_patchnet(path: Path) -> tuple[str, dict[str, Tensor]]:
    """The format of a PatchNet checkpoint, one of `FORMATS`, and its weights under our names.

    Raises:
        UserError: if the file cannot be read, holds another model, or patches that the release does not know.
    """
    kind, state = state_of(read_checkpoint(path), path)
    missing = [part for part in PARTS if not any(key.startswith(f'{part}.') for key in state)]
    if missing:
        raise UserError(f'{path} holds the weights of another model than PatchNet: no {" and no ".join(missing)} in it')
    if 'pgn.theta' in state:
        raise UserError(
            f'{path} holds fixed patches (pgn.theta: patch_source stripe or random), which the release has no place '
            'for: only a model with patch_source pgn is converted'
        )
    return 'release' if kind == 'release' else 'torchreid', state


def convert(source: Path, target: Path, to: str | None = None, force: bool = False) -> str:
    """Converts a checkpoint.

    Args:
        source: the file to read.
        target: the file to write.
        to: one of `FORMATS`; by default the one that the file is not in.
        force: write over a file.

    Returns:
        A line that says what was done.

    Raises:
        UserError: one line, and no file is written.
    """
    check_target(target, force)
    found, state = read_patchnet(source)
    to = to or next(name for name in FORMATS if name != found)
    if to == found:
        raise UserError(f'{source} is in the format of {to} already: leave --to out to convert it to the other one')
    save_atomically({'state_dict': to_release(state) if to == 'release' else state}, target)
    return f'{source}: {len(state)} tensors in the format of {found}, written to {target} in that of {to}'


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Converts a PatchNet checkpoint of the 2019 release into one that torchreid reads, and back.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('source', metavar='FROM', type=Path, help='the checkpoint to read')
    parser.add_argument('target', metavar='TO', type=Path, help='the checkpoint to write')
    parser.add_argument('--to', choices=FORMATS, help='the format to write (default: the one that FROM is not in)')
    parser.add_argument('--force', action='store_true', help='write over TO')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """The command line: exit status 2 and one line for what the user can mend."""
    command.call(lambda: print(convert(**vars(parse(argv)))))


if __name__ == '__main__':
    main()
