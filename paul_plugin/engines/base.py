"""The base of all engines: torchreid's loop, resumable to the bit, stoppable, in several processes, with its tests."""

import contextlib
import functools
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from ..checkpoints.folder import CheckpointFolder
from ..data import loaders
from ..host.data import files_digest, images_digest
from ..host.engine import TEST_OPTIONS, HostFixes, unwrap
from ..host.evaluation import recorded_results
from ..runtime import processes, randomness, stopping
from ..runtime.errors import UserError, printable
from .finite import FiniteGuard, NotFinite
from .in_test import InTest
from .parallel import NoWriter, split_tests, whole_batch, wrapped
from .state import restore, state_of
from .watch.history import write_history
from .watch.observer import Observer


class ResumableEngine(HostFixes):
    """Mixin for torchreid's engines; put it first. The engine defines `training_step` as `forward_backward`.

    With several processes each has its share of a batch, and a test's batches are shared too. BatchNorm's statistics
    are the whole batch's on GPUs, where the model has SyncBatchNorm, and those of a process' share on CPUs.

    The order of the images and their augmentation are functions of the seed and the epoch. A checkpoint holds
    everything else that training depends on, so a run that goes on from one ends with the same bytes, on a CPU.
    The loop stays torchreid's: when it is resumed within an epoch, it first runs through the recorded losses of
    the steps that are done, so that its averages and its log are those of an undisturbed run, times apart.

    The attributes are set by the user of the engine, before `run`:

    Attributes:
        seed: of order, augmentation and each epoch's other random numbers; by default the one of torch.
        checkpoint_minutes: a checkpoint is saved after the first step that ends so many minutes after the last one.
        keep_checkpoints: how many of the newest are kept.
        config: text that each checkpoint holds, the configuration of the run.
        observers: what is called at the start, after each step and epoch, and in each test.
        fast_rank: rank by host/'s `fast_rank` in tests: torchreid's numbers, in a fraction of its time.
        centre_cameras: in tests, subtract from each descriptor the mean of its camera, see `camera_means`.
        camera_norms: in tests, describe an image by the BatchNorm statistics of its camera, see `CameraNorms`.
        history: what each epoch that is done gave, `{'epoch', 'lr', losses, 'mAP', 'rank1'}`, means over its steps.
        results: the last test, data set -> `{'mAP', 'rank1', 'rank5', 'rank10'}`.
    """

    checkpoint_minutes = 5.0
    keep_checkpoints = 2
    config = ''
    fast_rank = False
    centre_cameras = False
    camera_norms = False
    every_parameter_used = False  # by the loss, of those that are trained; True saves a search in each step

    def __init__(self, *args, **kwargs) -> None:
        self.guard = FiniteGuard()  # torchreid's engines register their optimizer in their own __init__
        self.observers: list[Observer] = []
        super().__init__(*args, **kwargs)
        self.seed = torch.initial_seed() % 2**63
        self.results: dict[str, dict[str, float]] = {}
        self.folder = self.loader = None
        self._begin_record()
        self._in_step = False
        self.states = None  # of the generators, to be restored before the first step of a resumed run
        self.network: nn.Module | None = None  # the model as a step trains it, of this epoch
        self.in_test: InTest | None = None  # of the test that is going on
        self._camids: list[int] = []  # of the batch whose descriptors are asked for next

    def _begin_record(self) -> None:
        """What is recorded of a run, as it is before its first step."""
        self.history: list[dict] = []
        self.best = -math.inf
        self.done = (0, 0)  # epochs, and steps of the next one
        self.summaries: list[dict[str, float]] = []  # of the steps of this epoch
        self._saved = (0, 0)  # what was done when the last checkpoint was saved

    def training_step(self, data: dict) -> dict[str, float]:
        """One step of training, what torchreid calls `forward_backward`; returns the losses to be logged."""
        raise NotImplementedError

    # ---- state -----------------------------------------------------------------------------------------------------

    def extra_state(self) -> dict:
        """What a checkpoint holds beside the model, the optimizer and the scheduler."""
        return {}

    def load_extra_state(self, checkpoint: dict) -> None:
        """Restores what `extra_state` returned."""

    @functools.cached_property
    def images_digest(self) -> str:
        return images_digest(self.datamanager)

    @functools.cached_property
    def files_digest(self) -> str:
        return files_digest(self.datamanager)

    @stopping.deaths_of_workers_later()
    def checkpoint(self, rank1: float = 0.0, best: bool = False) -> None:
        """Saves the state; all processes call it, the first one saves.

        Raises:
            UserError: if the file cannot be written.
        """
        state = state_of(self, rank1)
        if processes.is_first():
            path = self.folder.save(state, *self.done, best)
            self._saved = self.done
            print(f'Checkpoint saved to "{printable(path)}"')
        self.saved_at = time.monotonic()

    def _rescue(self) -> None:
        """Saves the steps that are done, which an error ends; an unfinished one may have moved the bank already.

        Not with several processes: the others do not know of the error, and saving needs them all.
        """
        if self._saved < self.done and not self._in_step and processes.world_size() == 1:
            with contextlib.suppress(Exception):  # the error that ends the run is the news
                self.checkpoint()

    def resume(self, checkpoint: dict) -> int:
        """Goes on from a checkpoint that was read as data.

        Returns:
            The number of epochs that are done, `start_epoch` of `run`.

        Raises:
            KeyError, RuntimeError, TypeError, ValueError: if the checkpoint is damaged, or of another model, optimizer
                or set of images.
        """
        restore(self, checkpoint)
        return checkpoint['epoch']

    # ---- torchreid's loop ------------------------------------------------------------------------------------------

    def run(
        self, save_dir: str = 'log', max_epoch: int = 0, start_epoch: int = 0, test_only: bool = False, **options
    ) -> None:
        """torchreid's `run`, which calls `train` and `test` epoch by epoch.

        Raises:
            Stopped: after a checkpoint, if the run was asked to stop.
            UserError: for a loss or gradient that is not finite, or a checkpoint that cannot be written.
        """
        if test_only:
            return super().run(save_dir=save_dir, test_only=True, **options)
        self.folder = CheckpointFolder(Path(save_dir, 'model'), self.keep_checkpoints)
        if self.done[0] > start_epoch:  # another run of the engine: it has its weights, and a history of its own
            self._begin_record()
        if processes.is_first():
            if self.done > (0, 0):
                self.folder.set_aside(self.done)
            elif start_epoch == 0:
                self.folder.set_aside()
        self.saved_at = time.monotonic()
        self.epoch = max(start_epoch - 1, 0)  # torchreid saves after its loop under this number, even if it is empty
        if self.writer is None:  # torchreid would open one in each process
            self.writer = SummaryWriter(save_dir) if processes.is_first() else NoWriter()
        try:
            self.take_up(anew=self.done == (0, 0) and start_epoch == 0)
            if self._lacks_test(max_epoch, **options):
                rank1 = self.test(save_dir=save_dir, **{name: options[name] for name in TEST_OPTIONS & options.keys()})
                self.save_model(self.epoch, rank1, save_dir)
            super().run(save_dir=save_dir, max_epoch=max_epoch, start_epoch=start_epoch, **options)
        except stopping.Stopped:
            if self.done > (0, 0):
                self.checkpoint()
            raise
        except Exception as error:  # a user's, a killed worker, a mount that is gone, a log that cannot be written
            if isinstance(error, UserError):
                error.of_one_process = True
            self._rescue()
            raise
        finally:
            loaders.stop_workers(self.loader)
            self.loader = None
            with contextlib.suppress(OSError):  # of a full disk: reported already
                self.writer.close()
            self.writer = None  # another run of the engine has a folder of its own

    def take_up(self, anew: bool = False) -> None:
        """Makes what is recorded beside the checkpoints the engine's own: a kill may have come between the two.

        `run` does it; who has no epoch left to run calls it after `resume`, with `folder` set. All processes do.
        """
        write_history(self)
        for observer in self.observers:
            (observer.at_start if anew else observer.at_resume)(self)
        if anew:
            self.recorded()

    def recorded(self) -> None:
        """Tells the observers that all of them have recorded, so that what one saves now holds it."""
        for observer in self.observers:
            observer.after_recording(self)

    def _lacks_test(self, max_epoch: int, start_eval: int = 0, eval_freq: int = -1, **options) -> bool:
        """Whether the run was killed in the test that followed the last epoch that is done."""
        epochs, steps = self.done
        due = 0 < epochs < max_epoch and epochs >= start_eval and eval_freq > 0 and epochs % eval_freq == 0
        return due and steps == 0 and bool(self.test_loader) and 'mAP' not in self.history[-1]

    def train(self, *args, **kwargs) -> None:
        if self.loader is None:
            self.loader = loaders.seeded_loader(self.datamanager.train_loader, self.seed)
        self.loader.sampler.set_epoch(self.epoch, first_batch=len(self.summaries))
        self.train_loader = loaders.RestOfEpoch(len(self.summaries), self.loader)
        if not self.summaries:
            randomness.seed_all(self.seed, randomness.TRAINING, self.epoch)
            self.states = None
        self.network = None
        lr = self.get_current_lr()
        super().train(*args, **kwargs)
        means = {
            name: sum(summary[name] for summary in self.summaries) / len(self.summaries)
            for name in (self.summaries or [{}])[0]
        }
        self.history.append({'epoch': self.epoch + 1, 'lr': lr, **means})
        self.summaries = []
        self.done = (self.epoch + 1, 0)
        for observer in self.observers:
            observer.after_epoch(self)
        self.recorded()
        write_history(self)
        if self._agree({})[2]:
            self.checkpoint()

    def wrap_network(self) -> nn.Module:
        """It is made in each epoch, after torchreid has opened and frozen layers: then is known what is trained."""
        return wrapped(self.model, self.use_gpu, self.every_parameter_used)

    def forward_backward(self, data: dict | None) -> dict[str, float]:
        if data is None:
            return self.summaries[self.batch_idx]
        if self.states is not None:
            randomness.set_states(self.states)
            self.states = None
        if self.network is None:
            self.network = self.wrap_network()
        self.guard.start()
        self._in_step = True
        with stopping.deaths_of_workers_later():
            try:
                summary = self.training_step(data)
                self.guard.check(summary)
            except NotFinite as fault:
                raise fault.refusal(self, data['impath']) from None
            summary, stop, due = self._agree(summary)
            self.summaries.append(summary)
            self.done = (self.epoch, len(self.summaries))
            self._in_step = False
        for observer in self.observers:
            observer.after_step(self, summary)
        if stop:
            stopping.check_together()
        if due and len(self.summaries) < self.num_batches:
            self.checkpoint()
        return summary

    def _agree(self, summary: dict[str, float]) -> tuple[dict[str, float], bool, bool]:
        """What all processes know after a step: the mean losses, whether to stop, whether a checkpoint is due.

        The last is what the clock of the first process says.
        """
        due = self.folder is not None and time.monotonic() - self.saved_at >= 60 * self.checkpoint_minutes
        numbers = [*summary.values(), stopping.requested(), due and processes.is_first()]
        device = next(self.model.parameters()).device
        *means, stop, due = processes.mean(torch.tensor(numbers, dtype=torch.float64, device=device)).tolist()
        return dict(zip(summary, means, strict=True)), stop > 0, due > 0

    def test(self, *args, **kwargs) -> float:
        """torchreid's test. Training stands still: a request to stop ends it at once."""

        def ranked(target: int, distances: np.ndarray) -> None:
            for observer in self.observers:
                observer.after_ranking(self, target, distances)

        self.in_test = InTest(unwrap(self.model), self._extracted)
        try:
            with torch.no_grad(), stopping.instead_of_errors():
                self.in_test.take_from_cameras(self)
                with split_tests(self), recorded_results(self.fast_rank, ranked) as results:
                    rank1 = super().test(*args, **kwargs)
        finally:
            self.in_test = None
        self.results = dict(zip(self.test_loader, results, strict=True))
        return rank1

    def parse_data_for_eval(self, data: dict) -> tuple:
        images, pids, camids = super().parse_data_for_eval(data)
        self._camids = camids.tolist()
        return images, pids, camids

    def extract_features(self, input: Tensor) -> Tensor:
        """Descriptors of a test's images; in a test of several processes the loaders give descriptors already."""
        if self.in_test is None:
            return self._extracted(unwrap(self.model), input)
        if input.dim() > 2:
            stopping.check()
            input = self.in_test.describe(input, self._camids)
        return self.in_test.centred(input, self._camids)

    def _extracted(self, network: nn.Module, images: Tensor) -> Tensor:
        images = images.cuda() if self.use_gpu else images
        model = self.model
        if network is not unwrap(model):  # else the wrapper stays, which may spread the images over GPUs
            self.model = network
        try:
            return super().extract_features(images)
        finally:
            self.model = model

    def save_model(self, epoch: int, rank1: float, save_dir: str, is_best: bool = False) -> None:
        """Called by torchreid after each test; the best is told by the mAP of the first data set."""
        if self.folder is None:  # called by the user, outside of `run`
            self.folder = CheckpointFolder(Path(save_dir, 'model'), self.keep_checkpoints)
            self.done = (epoch + 1, 0)
        first = next(iter(self.results.values()), None)
        if first and self.history and self.history[-1]['epoch'] == epoch + 1:
            self.history[-1].update(mAP=first['mAP'], rank1=first['rank1'])
            write_history(self)
        mean_ap = first['mAP'] if first else -math.inf
        is_best = is_best or mean_ap > self.best
        self.best = max(self.best, mean_ap)
        self.checkpoint(rank1, is_best)

    # ---- numbers that are not finite -------------------------------------------------------------------------------

    def register_model(self, name: str = 'model', model=None, optim=None, sched=None) -> None:
        super().register_model(name, model, optim, sched)
        if optim is not None:
            self.guard.attach(optim)

    def compute_loss(self, criterion, outputs, targets) -> Tensor:
        """torchreid's losses, of the whole batch on every process."""
        loss = super().compute_loss(criterion, *whole_batch(outputs, targets))
        self.guard.watch({type(criterion).__name__: loss})
        return loss

    def way_out(self) -> str:
        """What helps against numbers that are not finite."""
        return 'lower train.lr'
