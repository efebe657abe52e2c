"""torchreid's engines: what their base class gets wrong or cannot be told."""

from torch import nn
from torchreid import engine, utils

from .data import leave_out_untestable


def unwrap(model: nn.Module) -> nn.Module:
    wrappers = nn.DataParallel, nn.parallel.DistributedDataParallel
    return model.module if isinstance(model, wrappers) else model


class HostFixes:
    """Mixin for torchreid's engines: what their base class gets wrong or cannot be told. Put it first."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        leave_out_untestable(self.datamanager)

    def test(self, *args, **kwargs) -> float:
        """torchreid's test of no data set at all fails when it returns the last one's Rank-1."""
        return super().test(*args, **kwargs) if self.test_loader else 0.0

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
