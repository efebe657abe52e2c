"""Keeps the model that the signs of cameras speak for, beside the checkpoints that a run goes on from."""

from ...checkpoints.folder import CheckpointFolder
from ...checkpoints.reading import read_checkpoint
from ...runtime import processes
from ...runtime.errors import UserError, printable
from ..state import state_of
from .observer import Observer
from .signs import CameraSigns
from .verdict import START, best_of, in_words, signs_of


class KeepBest(Observer):
    """Saves the model whenever its signs are the best so far, as `model/kept.pth.tar`.

    Candidates are the start, the start once the memory bank is filled, and each epoch. Without signs nothing is kept.

    Args:
        signs: the observer that measures them, of the same engine.
    """

    def __init__(self, signs: CameraSigns) -> None:
        self.signs = signs

    def after_recording(self, engine) -> None:
        """Keeps the engine's model if it was measured now, and its signs are the best."""
        last = self.signs.signs[-1] if self.signs.signs else None
        if last is None or last['epoch'] != engine.done[0] or best_of(self.signs.signs) is not last:
            return
        if engine.done > (0, 0):
            # A kill must not leave a kept model that is later than what the run goes on from.
            engine.checkpoint()
            if processes.is_first():
                engine.folder.keep_as_best(engine.done[0])
        else:
            state = state_of(engine)
            if last['name'] == START:
                del state['memory']  # nothing is in it yet
            if processes.is_first():
                engine.folder.save_kept(state)

    def at_resume(self, engine) -> None:
        epochs, steps = engine.done
        if steps == 0 and not processes.from_first(engine.folder.at(epochs).exists()):  # from another folder's file
            self.after_recording(engine)
        find_kept(engine.folder, self.signs.signs)
        self.signs.write(engine)


def find_kept(folder: CheckpointFolder, signs: list[dict]) -> dict | None:
    """Sees that the kept model is the best by the signs, as a kill or a resume from elsewhere may have parted them.

    Where it is another, the best is taken from the checkpoint of its epoch; if that is gone, the best is marked as
    lost in `signs`, which is said, and the next best is looked for. All processes call it.

    Args:
        folder: with the checkpoints and the kept model.
        signs: of the run.

    Returns:
        The sign of the kept model; None if there is none.
    """
    found, lost = processes.from_first(_find(folder, signs) if processes.is_first() else None)
    for place in lost:
        signs[place]['lost'] = 1
    return None if found is None else signs[found]


def _find(folder: CheckpointFolder, signs: list[dict]) -> tuple[int | None, list[int]]:
    """The place of the kept model's sign, and of the lost ones."""
    kept, lost = sign_of_kept(folder), []
    left = {place: sign for place, sign in enumerate(signs) if not sign.get('lost')}
    while left:
        best = best_of(list(left.values()))
        place = next(place for place, sign in left.items() if sign is best)
        if kept != best and best['epoch'] > 0 and folder.at(best['epoch']).exists():
            folder.keep_as_best(best['epoch'])
            kept = best
        if kept == best:
            break
        lost.append(place)
        del left[place]
    if lost:
        names = ', '.join(in_words(signs[place]['name']) for place in sorted(lost))
        print(
            f'paul.keep best: no longer in {printable(folder.path)}, so not to be kept: {names}; '
            'it chooses among the others and what comes'
        )
    return (place if left else None), lost


def sign_of_kept(folder: CheckpointFolder) -> dict | None:
    """The sign of the kept model, by its file; None where there is none that can be read."""
    try:
        signs = signs_of(read_checkpoint(folder.kept).get('signs'))
    except UserError:
        return None
    return signs[-1] if signs else None
