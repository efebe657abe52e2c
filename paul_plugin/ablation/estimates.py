"""How long runs will take: as long as finished ones that are like them, or else as a short timing of the model says."""

import contextlib
import io
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import torch
from torch import Tensor
from yacs.config import CfgNode

from ..config.arguments import cores
from ..config.checks import has_surrogates
from ..config.settings import with_keys
from ..data.synthetic.datasets import SYNTHETIC
from ..host.data import items_of
from ..registry import BACKBONES
from ..run import build
from ..run.data import build_datamanager
from ..runtime import randomness
from .plan import OF_TRANSFER, RECORD, Run, read_record

_LONGEST = 3.0  # seconds after which a timing is good enough


class Estimates:
    """Estimates of runs' seconds.

    Args:
        out: the folder of the results, whose finished runs are known.
        jobs: how many runs go on at once, which is how the timing shares the cores.

    Example:
        >>> estimates = Estimates(Path('log/ablation'), jobs=1)
        >>> sum(map(estimates.seconds, plan.pending()))
    """

    def __init__(self, out: Path, jobs: int = 1) -> None:
        self.out = out
        self.threads = cores_of_each(jobs)
        self.known: dict[str, list[float]] = {}
        self.timed: dict[str, float] = {}
        self.update()

    def update(self) -> None:
        """Reads what the finished runs took."""
        self.known = {}
        for path in self.out.glob(f'runs/*/*/{RECORD}'):
            record = read_record(path.parent)
            if record.get('finished') and {'identity', 'seconds'} <= record.keys():
                self.known.setdefault(_like(record['identity']), []).append(record['seconds'])

    def is_known(self, run: Run) -> bool:
        """Whether a run like it is finished."""
        return _like(run.identity) in self.known

    def seconds(self, run: Run) -> float:
        """The mean of finished runs that are like this one; else what its images would take without anything else."""
        kind = _like(run.identity)
        if kind in self.known:
            return mean(self.known[kind])
        if kind not in self.timed:
            with _threads(self.threads), contextlib.redirect_stdout(io.StringIO()), randomness.seeded(0):
                self.timed[kind] = seconds_of_images(*map(_counted, filter(None, (run.cfg, run.stage))))
        return self.timed[kind]


def cores_of_each(jobs: int) -> int:
    """Cores that each of several runs at once has; a number that the user has set (OMP_NUM_THREADS) stays."""
    set_by_user = os.environ.get('OMP_NUM_THREADS', '')
    return int(set_by_user) if set_by_user.isdigit() else max(1, cores() // jobs)


def in_words(seconds: float) -> str:
    """A duration to two places.

    Example:
        >>> in_words(4320)
        '1 h 12 min'
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f'{minutes // 60} h {minutes % 60} min'
    return f'{minutes} min {rest} s' if minutes else f'{rest} s'


def _like(identity: dict[str, object]) -> str:
    """What a run's time depends on, of its identity: not the numbers of the method, but the model's size."""
    no_matter = {'train.lr', 'model.load_weights', *(() if identity.get('test.evaluate') else ('pretraining',))}
    kept = {
        key: value
        for key, value in identity.items()
        if key not in no_matter and (not key.startswith('paul.') or key in OF_TRANSFER)
    }
    return json.dumps(kept, sort_keys=True)


class Work(NamedTuple):
    """What a training takes its time for.

    Attributes:
        cfg: its config.
        train: images that it is trained on.
        test: images in all queries and galleries together.
    """

    cfg: CfgNode
    train: int
    test: int


def seconds_of_images(own: Work, stage: Work | None = None) -> float:
    """What a run's images take in the model; loading them, the losses and the ranking come on top.

    Args:
        own: the run's.
        stage: that of the pre-training that it makes, if it makes one.
    """
    cfg, train, test = own
    learn, look = _seconds_an_image(cfg)
    if cfg.loss.name != 'paul':
        return _seconds_with_labels(own, learn, look)
    seconds = test * look + (0 if stage is None else _seconds_with_labels(stage, learn, look))
    if not cfg.test.evaluate:
        epochs, between = cfg.train.max_epoch, cfg.test.eval_freq
        tests = 1 + (epochs // between if between > 0 else 0)
        learned = epochs * train * (2 if has_surrogates(cfg) else 1)
        seconds += train * look + learned * learn + tests * test * look  # the bank is filled first
    return seconds


def _seconds_with_labels(work: Work, learn: float, look: float) -> float:
    cfg, train, test = work
    return test * look + (0 if cfg.test.evaluate else cfg.train.max_epoch * train * learn)


def _counted(cfg: CfgNode) -> Work:
    return Work(cfg, *number_of_images(cfg))


def number_of_images(cfg: CfgNode) -> tuple[int, int]:
    """How many images are trained on, and how many are in all queries and galleries together."""
    if {*cfg.data.sources, *cfg.data.targets} <= set(SYNTHETIC):  # not rendered yet, maybe
        counts = cfg.paul.synthetic
        train, test = (counts[people] * counts.images_per_id for people in ('train_ids', 'test_ids'))
        return train * len(cfg.data.sources), test * len(cfg.data.targets)
    items = items_of(build_datamanager(with_keys(cfg, {'data.workers': 0})))
    train = len(items.pop('train'))
    return train, sum(map(len, items.values()))


def _seconds_an_image(cfg: CfgNode) -> tuple[float, float]:
    """What one image takes in training and in testing, on random images."""
    loss = 'paul' if cfg.model.name in BACKBONES else 'softmax'  # either gives one tensor
    model = build.build_model(with_keys(cfg, {'loss.name': loss}), 1, pretrained=False)

    def learn(images: Tensor) -> None:
        model.train()(images).sum().backward()

    @torch.no_grad()
    def look(images: Tensor) -> None:
        model.eval()(images)

    return _time(cfg, learn), _time(cfg, look)


def _time(cfg: CfgNode, step: Callable[[Tensor], None]) -> float:
    """Seconds an image of a step, the quickest of a few: the first one warms up, others may be disturbed."""
    device = 'cuda' if cfg.use_gpu else 'cpu'
    found, begin = [], time.perf_counter()
    for number in (4, 4, 32, 32, 32):
        images = torch.randn(number, 3, cfg.data.height, cfg.data.width, device=device)
        start = time.perf_counter()
        step(images)
        if cfg.use_gpu:
            torch.cuda.synchronize()
        found.append((time.perf_counter() - start) / number)
        if len(found) > 1 and time.perf_counter() - begin > _LONGEST:
            break
    return min(found)


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    """Within it, torch computes with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
