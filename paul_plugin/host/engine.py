"""torchreid's engines: what their base class gets wrong or cannot be told."""

import inspect

from torch import nn
from torchreid import engine, utils

from .data import leave_out_untestable
from .evaluation import untold
from .progress import FINAL_TEST, RunMeter, Shown, telling, timed_by, without_times

# What torchreid's `run` passes on to a test between epochs; not `rerank`, which its tests alone have.
TEST_OPTIONS = inspect.signature(engine.Engine.test).parameters.keys() - {'self', 'save_dir', 'rerank'}


def unwrap(model: nn.Module) -> nn.Module:
    wrappers = nn.DataParallel, nn.parallel.DistributedDataParallel
    return model.module if isinstance(model, wrappers) else model


class HostFixes:
    """Mixin for torchreid's engines: what their base class gets wrong or cannot be told. Put it first."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        leave_out_untestable(self.datamanager)
        self.times = RunMeter(), RunMeter()  # of a step, and of the wait for its images

    def run(self, *args, **kwargs) -> None:
        """torchreid announces a final test where there is nothing to test on, too."""
        self.times = RunMeter(), RunMeter()
        with telling(lambda line: None if line == FINAL_TEST and not self.test_loader else line):
            super().run(*args, **kwargs)

    def train(self, print_freq: int = 10, *args, **kwargs) -> None:
        """torchreid prints nothing of an epoch of fewer batches than `print_freq`; here it has a line at its end.

        The steps that a resumed run passes over count for no estimate of time, and their lines tell none.
        """
        for meter in self.times:
            meter.ahead, meter.passes_over = getattr(self.train_loader, 'done', 0), False
        print_freq = min(print_freq, len(self.train_loader))
        with timed_by(self.times), telling(lambda line: without_times(line) if self.times[0].passes_over else line):
            super().train(print_freq, *args, **kwargs)

    def test(self, *args, **kwargs) -> float:
        """torchreid's test, with a bar; that of no data set at all fails when it returns the last one's Rank-1.

        What a rank would be that the gallery is too small for is not told.
        """
        loaders = self.test_loader
        self.test_loader = {
            name: {part: Shown(loader, part) for part, loader in parts.items()} for name, parts in loaders.items()
        }
        try:
            with telling(untold):
                return super().test(*args, **kwargs) if loaders else 0.0
        finally:
            self.test_loader = loaders

    def frozen(self) -> list[nn.Module]:
        """Modules whose weights stay as they are during training."""
        return []

    def two_stepped_transfer_learning(self, *args, **kwargs):
        """torchreid opens every layer at the start of every epoch, a frozen one too.

        A part of PatchNet whose learning rate is 0 stays as it is, and costs no gradients.
        """
        super().two_stepped_transfer_learning(*args, **kwargs)
        for module in self.frozen():
            module.requires_grad_(False)
        for group in self.optimizer.param_groups:
            if 'part' in group and group['lr'] == 0:
                for parameter in group['params']:
                    parameter.requires_grad_(False)


def supervised_engine(kind: str, loss: str) -> type:
    """torchreid's engine for `image` or `video` and `softmax` or `triplet`."""
    return getattr(engine, f'{kind.title()}{loss.title()}Engine')


def register_engine(engine_class: type) -> None:
    setattr(engine, engine_class.__name__, engine_class)


set_random_seed = utils.set_random_seed
