"""The checkpoints of a run: files that are whole or not there, the newest of them, and which ones are kept."""

import os
from pathlib import Path

from ..runtime.errors import UserError, printable
from ..runtime.files import link_or_copy, save_atomically
from .damaged import Damaged
from .places import BEST, KEPT, newest_first, place
from .reading import read_checkpoint


def _is_later(path: Path, after: tuple[int, int]) -> bool:
    """Whether a checkpoint whose name does not tell is of later than so many epochs and steps."""
    try:
        checkpoint = read_checkpoint(path)
        return (checkpoint['epoch'], len(checkpoint.get('summaries', ()))) > after
    except (UserError, KeyError, TypeError):  # not there, or nobody knows of when
        return False


def _is_of_no_epoch(path: Path) -> bool:
    """Whether a checkpoint is known to be of before the first step."""
    try:
        checkpoint = read_checkpoint(path)
    except UserError:
        return False
    return checkpoint.get('epoch') == 0 and checkpoint.get('summaries') == []


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
        """The checkpoints, the newest first.

        Raises:
            UserError: if the folder cannot be read.
        """
        try:
            names = os.listdir(self.path)  # `glob` would take a folder that may not be read for an empty one
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise UserError(f'cannot read the folder {printable(self.path)}: {error.strerror}') from None
        return [self.path / name for name in newest_first(names)]

    @property
    def kept(self) -> Path:
        """Where the model is that the run recommends, if it recommends one."""
        return self.path / KEPT

    def at(self, epochs: int) -> Path:
        """Where the checkpoint after so many epochs is, if it is there."""
        return self.path / f'model.pth.tar-{epochs}'

    def newest(self) -> Path | None:
        return next(iter(self.files()), None)

    def read_newest(self) -> tuple[Path, dict] | None:
        """The newest checkpoint that is not damaged, with its path; damage to a newer one is reported.

        None where there is no checkpoint. A run that saves meanwhile may remove one before it is read; then its newer
        one is taken.

        Raises:
            UserError: if a checkpoint cannot be read for another reason than damage, or all are damaged.
        """
        damaged: list[Path] = []
        while left := [path for path in self.files() if path not in damaged]:
            path = left[0]
            try:
                return path, read_checkpoint(path)
            except Damaged as error:
                print(f'warning: {error}; trying the one before')
                damaged.append(path)
            except UserError:
                if path in self.files():
                    raise
        if damaged:
            raise UserError(
                f'no checkpoint in {printable(self.path)} can be read, {len(damaged)} are damaged: '
                'move the folder away to begin anew, or name a file'
            )
        return None

    def save(self, state: dict, epochs: int, steps: int = 0, best: bool = False) -> Path:
        """Saves a checkpoint and removes those that are no longer kept.

        Afterwards it is the newest: later ones, of a run that went back, are set aside.

        Args:
            state: the checkpoint.
            epochs: how many are done.
            steps: how many of the next epoch are done.
            best: it is the best by mAP so far.

        Raises:
            UserError: if it cannot be written.
        """
        path = self.path / f'model.pth.tar-{epochs}-{steps}' if steps else self.at(epochs)
        try:
            save_atomically(state, path)
        except UserError as error:
            way_out = 'the checkpoints before it are untouched, make room and go on with model.resume auto'
            raise UserError(f'{error}; {way_out}') from None
        if best:
            link_or_copy(path, self.path / BEST)
        self.set_aside((epochs, steps))
        for old in self.files()[self.keep :]:
            old.unlink(missing_ok=True)
        return path

    def save_kept(self, state: dict) -> None:
        """Saves what is no numbered checkpoint as the kept model.

        Raises:
            UserError: if it cannot be written.
        """
        save_atomically(state, self.kept)

    def keep_as_best(self, epochs: int) -> None:
        """Makes the checkpoint after so many epochs the kept model; it stays when the checkpoint is removed.

        Raises:
            UserError: if it cannot be written.
        """
        try:
            link_or_copy(self.at(epochs), self.kept)
        except OSError as error:
            raise UserError(f'cannot write {printable(self.kept)}: {error.strerror}') from None

    def remove_kept_start(self) -> None:
        """Removes a kept model that is the only file and of no epoch: a run that was killed early makes it again."""
        if not self.files() and _is_of_no_epoch(self.kept):
            self.kept.unlink()

    def set_kept_aside(self) -> Path | None:
        """Moves the kept model to a folder beside this one; None where there is none."""
        return self._move([self.kept], 'kept model') if os.path.lexists(self.kept) else None

    def set_aside(self, after: tuple[int, int] | None = None) -> Path | None:
        """Moves the checkpoints of an earlier run, which a new run must not be mixed with, to a folder beside this one.

        Args:
            after: the (epochs, steps of the next one) that the new run goes on from: only later checkpoints are moved,
                and the best and the kept model if they are later; None for a run that starts anew, which keeps none.

        Returns:
            The new folder; None where there is nothing to move.
        """
        moved = [path for path in self.files() if after is None or place(path.name) > after]
        if after is None:
            return self._move(None, 'checkpoints') if moved or os.path.lexists(self.kept) else None
        if not moved:
            return None
        moved += [path for path in (self.path / BEST, self.kept) if _is_later(path, after)]
        return self._move(moved, 'later checkpoints')

    def _move(self, moved: list[Path] | None, what: str) -> Path:
        """Moves these files, or all of the folder, to a new folder beside it."""
        number = 1
        while (aside := self.path.with_name(f'{self.path.name}.{number}')).exists():
            number += 1
        if moved is None:
            self.path.rename(aside)
        else:
            aside.mkdir()
            for path in moved:
                path.rename(aside / path.name)
        verb = 'is' if what == 'kept model' else 'are'
        print(f'The {what} of an earlier run {verb} in {printable(aside)} now')
        return aside
