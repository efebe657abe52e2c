"""The learning rate that fits: tries rates, the largest first, and takes the first whose bank recall stays healthy."""

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean

import torch
from torch.utils.data import DataLoader

from ..data import loaders
from ..host.engine import unwrap
from ..host.progress import bar
from ..runtime import processes, randomness, stopping
from .finite import NotFinite
from .kept_bank import KeptBank, restore, states_of
from .paul import ImagePAULEngine
from .watch.alarm import NONE, SHARE
from .watch.alarm import STEPS as FIRST

LADDER = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4)
STEPS = 30  # of a trial, over as many epochs as that takes
LAST = 5  # steps whose mean recall must be at least HEALTHY of that of the start, see `_lowest`
# The start is that of FIRST batches at a rate of 0: one alone tells too little, and of any other rate only the first
# one's recall is that of the start. On 132 crops it is 1.00, and 0.62 after one step at 1e-2.
# On 12,750 rendered crops recall is at 0.68 of its start after 30 steps at 3e-3, which gains 1 point of mAP there, but
# 1e-3 gains 6; on 1,100 it is at 0.6 at 1e-2, which gains less than 3e-3 (synthetic_hard, seeds 11 to 13). The alarm's
# share is lower, as it is to sound at what does harm.
HEALTHY = 0.8
Build = Callable[[float], tuple[torch.optim.Optimizer, object]]


def choose_rate(
    engine: ImagePAULEngine,
    build: Build,
    ladder: Sequence[float] = LADDER,
    fixbase_epoch: int = 0,
    open_layers: list[str] | None = None,
) -> float:
    """Chooses a rate, and gives the engine an optimizer of that rate; all processes call it, before `run`.

    Each rate is tried on the first steps, as `run` takes them, from the engine's weights and a bank that they filled;
    a trial ends where recall is lost, see `is_lost`. Where an epoch has fewer steps, it goes on over the next ones, at
    the rate of the first one: what a scheduler makes of it is not on trial. Afterwards everything is as before, so
    `run` ends with the bytes of a run that was given the rate; the bank is kept for it, `engine.kept_bank`.

    Args:
        engine: about to start anew.
        build: a rate, or 0 -> a new optimizer of the engine's model, and its scheduler or None.
        ladder: rates, the largest first.
        fixbase_epoch, open_layers: of the engine's `run`.

    Returns:
        The largest healthy rate, or the last one of the ladder where none is, which is said.

    Raises:
        Stopped: if the run was asked to stop.
    """
    modules = unwrap(engine.model), engine.memory, engine.ipfl
    before, random, start = states_of(modules), randomness.get_states(), None
    amp = copy.deepcopy(engine.precision.state_dict())
    print(f'train.lr auto: tries up to {STEPS} steps at each rate, the largest first')
    try:
        with stopping.instead_of_errors():
            engine.fill_memory()
            engine.choose_positives()
        filled, positives = states_of(modules), engine.objective.positives  # the same for every rate
        drew = not _same(randomness.get_states(), random)  # dropout: then a run's bank depends on when it is filled
        for rate in (0.0, *ladder):
            restore(modules, filled)
            engine.objective.take_positives(positives)
            engine.precision.load_state_dict(copy.deepcopy(amp))
            _take(engine, *build(rate))
            recall = _trial(engine, rate, start, fixbase_epoch, open_layers)
            if start is None:  # the rate of 0, which comes first and tells it
                start = fmean(recall or [0.0])
            elif _is_healthy(rate, recall, start, len(engine.datamanager.train_loader)):
                break
        else:
            print(f'warning: no rate keeps bank recall at {HEALTHY:g} of its start: takes the smallest, {rate:g}')
    finally:
        restore(modules, before)
        engine.precision.load_state_dict(amp)
        randomness.set_states(random)
        engine.network = None
        engine.objective.take_positives(None)
        for parameter in engine.model.parameters():
            parameter.grad = None
    _take(engine, *build(rate))
    if not drew:
        engine.kept_bank = KeptBank(modules, before[0], filled)
    return rate


def is_lost(recall: Sequence[float], start: float) -> bool:
    """Whether a trial need not go on: `LAST` steps after the first ones had a mean below the alarm's share of `start`.

    Where the alarm would sound, recall would have to rise to `HEALTHY` of its start within what is left of the trial.

    Example:
        >>> is_lost([0.6, 0.6, 0.6, 0.5, 0.3, 0.2, 0.2, 0.2], start=0.6)
        True
    """
    return len(recall) >= FIRST + LAST and fmean(recall[-LAST:]) < SHARE * start


def _same(one: object, other: object) -> bool:
    """Whether states of generators are equal: tensors, arrays and numbers in dicts and tuples."""
    if isinstance(one, torch.Tensor):
        return one.equal(other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other


def _is_healthy(rate: float, recall: Sequence[float], start: float, epoch: int) -> bool:
    """Whether recall, by its lowest, stays at its share, and says so; where it is 0 from the start, no rate's does."""
    low = _lowest(recall, epoch)
    healthy = low >= max(HEALTHY * start, NONE)
    told = f'bank recall went from {start:.2f} to {low:.2f} within {len(recall)} steps' if recall else 'no bank recall'
    print(f'  rate {rate:g}: {told}{", taken" if healthy else ", lost" if is_lost(recall, start) else ""}')
    return healthy


def _lowest(recall: Sequence[float], epoch: int) -> float:
    """The mean of the last `LAST` steps, or of any such before it that ends after the first epoch, the lowest.

    A bank that has been visited again recalls even a network that has lost what it knew: of 132 crops at 1e-2 recall is
    0.7 of its start in the first epoch and 1 at the end of the tenth.

    Args:
        recall: of a trial; of one that was ended by a number that is not finite it is empty, and 0 the lowest.
        epoch: steps of an epoch.
    """
    ends = range(max(LAST, min(epoch, len(recall))), len(recall) + 1)
    return min((fmean(recall[end - LAST : end]) for end in ends), default=0.0)


def _take(engine: ImagePAULEngine, optimizer: torch.optim.Optimizer, scheduler: object) -> None:
    """Gives the engine another optimizer and scheduler in the place of those that it has."""
    engine.optimizer, engine.scheduler = optimizer, scheduler
    engine.register_model('model', engine.model, optimizer, scheduler)


def _batches(
    engine: ImagePAULEngine, loader: DataLoader, fixbase_epoch: int, open_layers: list[str] | None
) -> Iterator[dict]:
    """The batches of epoch after epoch, without an end; before each epoch it does what `run` does then."""
    for epoch in itertools.count() if len(loader) else ():
        if epoch > 0:
            engine.objective.choose_positives()
        loader.sampler.set_epoch(epoch)
        randomness.seed_all(engine.seed, randomness.TRAINING, epoch)
        engine.set_model_mode('train')
        engine.two_stepped_transfer_learning(epoch, fixbase_epoch, open_layers)
        engine.network = engine.wrap_network()
        yield from loader


def _trial(
    engine: ImagePAULEngine, rate: float, start: float | None, fixbase_epoch: int, open_layers: list[str] | None
) -> list[float]:
    """The first steps at a rate, until recall is lost; recall of each, the mean over the processes.

    [] if one was not finite. Without a `start` they are those that tell it.
    """
    loader = loaders.seeded_loader(engine.datamanager.train_loader, engine.seed)
    steps, words = (FIRST, 'Bank recall at the start') if start is None else (STEPS, f'Trying rate {rate:g}')
    batches = itertools.islice(_batches(engine, loader, fixbase_epoch, open_layers), steps)
    recall = []
    try:
        with stopping.instead_of_errors():
            for data in bar(batches, words, ' steps', steps):
                stopping.check_together()
                engine.guard.start()
                summary = {}
                try:
                    summary = engine.training_step(data)
                    engine.guard.check(summary)
                except NotFinite:
                    summary = {}
                if processes.any_of(not summary):
                    return []
                number = torch.tensor([summary['recall']], dtype=torch.float64, device=engine.device)
                recall.append(processes.mean(number).item())
                if start is not None and is_lost(recall, start):
                    break
    finally:
        loaders.stop_workers(loader)
    return recall
