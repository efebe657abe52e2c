"""The alarm: bank recall that falls far below its start says, within an epoch, that the learning rate is too high."""

from collections.abc import Mapping
from statistics import fmean

from ...runtime.errors import UserError, printable
from .observer import Observer

# Steps whose recall is averaged. One batch of 40 images and 6 patches tells recall to a few hundredths.
STEPS = 3
# Of its start: on 12,750 rendered crops, recall is below half of it from step 17 on at a rate of 1e-2, which costs
# accuracy there. At rates that help, it stays above.
SHARE = 0.5
NONE = 0.005  # recall below it is shown as 0.00
GUARDS = ('warn', 'stop')


class RecallAlarm(Observer):
    """Warns, or ends the run, when the mean recall of the last steps is below a share of what it was at first, or 0.

    At first means: in the first `STEPS` steps after the memory bank was filled. Of a recall that was 0 then, no share
    can be lost: it warns as long as it stays 0. It warns once an epoch. The state is
    part of a checkpoint, so a run that goes on warns where an undisturbed one does.

    Args:
        guard: `warn`, or `stop`, which saves a checkpoint and ends the run.

    Raises:
        ValueError: for another guard.

    Example:
        >>> engine.observers.append(RecallAlarm('stop'))
    """

    key = 'alarm'

    def __init__(self, guard: str = 'warn') -> None:
        if guard not in GUARDS:
            raise ValueError(f'recall_guard must be one of {", ".join(GUARDS)}, got {guard!r}')
        self.guard = guard
        self.first: list[float] | None = None  # recall of the first steps; None where nobody has seen them
        self.last: list[float] = []
        self.sounded = False

    def state_dict(self) -> dict[str, object]:
        return {'first': self.first, 'last': self.last, 'sounded': self.sounded}

    def load_state_dict(self, state: Mapping[str, object] | None) -> None:
        """Restores what `state_dict` returned; None, of a checkpoint without it, leaves the alarm off."""
        state = RecallAlarm().state_dict() if state is None else state
        lists = state['first'] or [], state['last']
        if not all(isinstance(value, list) and all(type(x) is float for x in value) for value in lists):
            raise ValueError('its alarm holds something else than lists of numbers')
        self.first, self.last, self.sounded = state['first'], state['last'], bool(state['sounded'])

    def after_filling(self, engine) -> None:
        self.first, self.last, self.sounded = [], [], False

    def after_step(self, engine, summary: dict[str, float]) -> None:
        if self.first is None:
            return
        if len(self.first) < STEPS:
            self.first = [*self.first, summary['recall']]
        self.last = [*self.last, summary['recall']][-STEPS:]
        if engine.done[1] == 1:  # the first step of an epoch
            self.sounded = False
        low = len(self.first) == STEPS and fmean(self.last) < max(SHARE * fmean(self.first), NONE)
        if low and self.guard == 'stop':
            self._stop(engine)
        if low and not self.sounded:
            print(f'warning: {self._words(engine)}')
        self.sounded = self.sounded or low

    def _words(self, engine) -> str:
        epoch, step = engine.done
        if fmean(self.first) < NONE:
            return (
                f'epoch {epoch + 1}, step {step}: bank recall is {fmean(self.last):.2f} from the start: no image finds '
                'itself in the memory bank, as where crops lack contrast or weights are of another model: look at the '
                'crops, and check model.load_weights'
            )
        rate = engine.get_current_lr()
        return (
            f'epoch {epoch + 1}, step {step}: bank recall has fallen from {fmean(self.first):.2f} at the start to '
            f'{fmean(self.last):.2f}, less than {SHARE:g} of it: the network outruns its memory bank, its descriptors '
            f'change faster than one visit an epoch can follow: set train.lr {rate / 3:.1g} instead of {rate:g}, or '
            'train.lr auto'
        )

    def _stop(self, engine) -> None:
        """Ends the run. The checkpoint is saved first: who goes on in spite of it loses nothing."""
        way_on = ''
        if engine.folder is not None:
            engine.checkpoint()
            way_on = (
                f'; the last checkpoint is {printable(engine.folder.newest())}, from which paul.guard warn goes on all '
                'the same (model.resume)'
            )
        raise UserError(f'{self._words(engine)}, and start anew{way_on}')
