"""The checkpoints of a run: files that are whole or not there, the newest of them, and which ones are kept."""

import os
import re
import shutil
from pathlib import Path

from ..runtime.errors import UserError
from ..runtime.files import _partial, save_atomically
from .weights import read_checkpoint

BEST = 'model-best.pth.tar'  # torchreid's names, this one and `model.pth.tar-EPOCH`


class CheckpointFolder:
    """The folder of a run's checkpoints: `model.pth.tar-EPOCHS`, or `-EPOCHS-STEPS` from within an epoch.

    Args:
        path: the folder.
        keep: how many of the newest are kept, at least 1; the best by mAP is kept beside them.

    Raises:
        ValueError: for `keep` below 1.

    Example:
        >>> folder = CheckpointFolder('log/paul/model', keep=2)
        >>> folder.save({'epoch': 3, 'state_dict': model.state_dict()}, epochs=3)
        >>> folder.newest()
        PosixPath('log/paul/model/model.pth.tar-3')
    """

    def __init__(self, path: str | Path, keep: int = 2) -> None:
        if keep < 1:
            raise ValueError(f'CheckpointFolder: keep must be at least 1, got {keep}')
        self.path = Path(path)
        self.keep = keep

    def files(self) -> list[Path]:
        """The checkpoints, the newest first."""
        found = []
        for path in self.path.glob('model.pth.tar-*'):
            match = re.fullmatch(r'model\.pth\.tar-(\d+)(?:-(\d+))?', path.name)
            if match:
                found.append((int(match[1]), int(match[2] or 0), path))
        return [path for *_, path in sorted(found, reverse=True)]

    def newest(self) -> Path | None:
        return next(iter(self.files()), None)

    def read_newest(self) -> tuple[Path, dict] | None:
        """The newest checkpoint that can be read, with its path; damage to a newer one is reported."""
        for path in self.files():
            try:
                return path, read_checkpoint(path)
            except UserError as error:
                print(f'warning: {error}; trying the one before')
        return None

    def save(self, state: dict, epochs: int, steps: int = 0, best: bool = False) -> Path:
        """Saves a checkpoint and removes those that are no longer kept.

        Args:
            state: the checkpoint.
            epochs: how many are done.
            steps: how many of the next epoch are done.
            best: it is the best by mAP so far.

        Raises:
            UserError: if it cannot be written.
        """
        path = self.path / (f'model.pth.tar-{epochs}-{steps}' if steps else f'model.pth.tar-{epochs}')
        try:
            save_atomically(state, path)
        except UserError as error:
            way_out = 'the checkpoints before it are untouched, make room and go on with model.resume auto'
            raise UserError(f'{error}; {way_out}') from None
        if best:
            with _partial(self.path / BEST) as partial:
                try:
                    os.link(path, partial)
                except OSError:  # a file system without links
                    shutil.copy(path, partial)
        for old in self.files()[self.keep :]:
            old.unlink(missing_ok=True)
        return path

    def set_aside(self) -> Path | None:
        """Renames the folder of an earlier run, whose checkpoints a new run must not be mixed with.

        Returns:
            Its new path; None where there is nothing to rename.
        """
        if not self.files():
            return None
        number = 1
        while (aside := self.path.with_name(f'{self.path.name}.{number}')).exists():
            number += 1
        self.path.rename(aside)
        print(f'The checkpoints of an earlier run are in {aside} now')
        return aside

    def remove_partial(self) -> None:
        """Removes what a killed process left of a file that it was writing."""
        for partial in self.path.glob('.model*.pth.tar*'):
            partial.unlink(missing_ok=True)
