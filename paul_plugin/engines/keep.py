"""Keeps the model of a run that the signs of cameras speak for: a checkpoint beside the numbered ones."""

from ..checkpoints.weights import Damaged, read_checkpoint
from ..runtime import processes, stopping
from ..runtime.errors import UserError, printable
from .observers import Observer
from .verdict import best_of, in_words


class KeepBest(Observer):
    """Saves a checkpoint, `kept.pth.tar`, whenever the newest signs are the best so far; put it after CameraSigns.

    The candidates are the start as it was loaded, the same after the bank's filling, and the model after each epoch.
    The start's checkpoint has no memory bank, which is not filled yet.
    """

    def __init__(self) -> None:
        self._checked = False

    def at_start(self, engine) -> None:
        self._checked = True
        self._keep(engine)

    def after_filling(self, engine) -> None:
        self._keep(engine)

    def after_epoch(self, engine) -> None:
        if not self._checked:
            self._check(engine)
        self._keep(engine)

    def _keep(self, engine) -> None:
        if not engine.signs or best_of(engine.signs) is not engine.signs[-1]:
            return
        with stopping.deaths_of_workers_later():
            state = {**engine.state(), 'kept': engine.signs[-1]['name']}
            if engine.signs[-1] is engine.signs[0]:
                state.pop('memory')
            if processes.is_first():
                engine.folder.save_kept(state)

    def _check(self, engine) -> None:
        """Of a run that goes on: marks the models as lost that were better than the one in the file."""
        self._checked = True
        name = processes.from_first(name_of_kept(engine) if processes.is_first() else None)
        earlier = engine.signs[:-1]
        kept = [sign for sign in earlier if sign['name'] == name]
        lost = [sign for sign in earlier if best_of([*kept, sign]) is sign and sign not in kept]
        for sign in lost:
            sign['lost'] = 1
        if lost:
            best = in_words(best_of([{**sign, 'lost': 0} for sign in lost])['name'])
            print(f'* {best} was kept, but is not there any more: the best from here on is kept (paul.keep best)')


def name_of_kept(engine) -> str:
    """The name of the signs of the kept checkpoint; '' if there is none that can be read."""
    try:
        return str(read_checkpoint(engine.folder.kept).get('kept', ''))
    except Damaged as error:
        print(f'warning: {printable(error)}')
    except UserError:  # it is not there
        pass
    return ''
