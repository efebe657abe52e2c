"""Converts a PatchNet checkpoint of the 2019 release into one that torchreid reads, and back."""

from pathlib import Path

from torch import Tensor

from ..runtime.choices import CHECKPOINT_FORMATS
from ..runtime.errors import UserError, printable
from ..runtime.files import save_atomically
from ..runtime.targets import check_targets
from .weights_file import WeightsFile, to_release

NEEDED_PARTS = ('backbone', 'pgn', 'branches')  # what makes a PatchNet; the heads may have been left out


def read_patchnet(path: Path) -> tuple[str, dict[str, Tensor]]:
    """The format of a PatchNet checkpoint, one of `CHECKPOINT_FORMATS`, and its weights under our names.

    Raises:
        UserError: if the file cannot be read, holds another model, or patches that the release does not know.
    """
    file = WeightsFile(path)
    state = file.state
    missing = [part for part in NEEDED_PARTS if not any(key.startswith(f'{part}.') for key in state)]
    if missing:
        raise UserError(
            f'{printable(path)} holds the weights of another model than PatchNet: no {" and no ".join(missing)} in it'
        )
    if 'pgn.theta' in state:
        raise UserError(
            f'{printable(path)} holds fixed patches (pgn.theta: patch_source stripe or random), which the release '
            'has no place for: only a model with patch_source pgn is converted'
        )
    return 'release' if file.kind == 'release' else 'torchreid', state


def convert(source: Path, target: Path, to: str | None = None, force: bool = False) -> str:
    """Converts a checkpoint.

    Args:
        source: the file to read.
        target: the file to write.
        to: one of `CHECKPOINT_FORMATS`; by default the one that the file is not in.
        force: write over a file.

    Returns:
        A line that says what was done.

    Raises:
        UserError: one line, and no file is written.
    """
    # It is read as a whole before it is written: with --force a file may be converted in place.
    check_targets([target], force, inputs=[] if force else [source])
    found, state = read_patchnet(source)
    to = to or next(name for name in CHECKPOINT_FORMATS if name != found)
    if to == found:
        raise UserError(
            f'{printable(source)} is in the format of {to} already: leave --to out to convert it to the other one'
        )
    save_atomically({'state_dict': to_release(state) if to == 'release' else state}, target)
    written = f'written to {printable(target)} in that of {to}'
    return f'{printable(source)}: {len(state)} tensors in the format of {found}, {written}'
