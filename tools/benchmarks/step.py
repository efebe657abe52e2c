"""The whole training step, by both implementations."""

import torch
import torchreid
from torch import Tensor
from torch.nn import functional as F

from paul_plugin.engines.precision import MixedPrecision

from .ours import filled_memory, our_ipfl, our_pedal, unit_features
from .parts import Runs
from .sizes import MARKET, D, M
from .straightforward import PlainMemory, plain_ipfl, plain_pedal, plain_pooling


class WholeStep:
    """A training step of the unsupervised stage: ResNet-50, 384x128, 4 images and 4 surrogates, N of Market-1501.

    Args:
        device: where it runs.
        amp: precision of our step, 'off', 'bf16' or 'fp16'.
        plain: take the straightforward implementation.
    """

    def __init__(self, device: torch.device, amp: str = 'off', plain: bool = False) -> None:
        self.plain = plain
        self.model = torchreid.models.build_model('paul', loss='paul', pretrained=False).to(device)
        if not plain:
            self.model.pgn.requires_grad_(False)
            self.model.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)
        self.precision = MixedPrecision(amp, device)
        self.images = torch.randn(8, 3, 384, 128, device=device)
        self.rows = torch.randperm(MARKET, device=device)[:4]
        bank = unit_features(M, MARKET, D, device=device)
        self.memory = PlainMemory(bank) if plain else filled_memory(bank)

    def plain_losses(self) -> Tensor:
        """IPFL and PEDAL with nothing frozen and nothing shared."""
        net = self.model
        maps = net.backbone.featuremaps(self.images)
        pooled = plain_pooling(maps, net.pgn(maps))
        features = [F.normalize(branch(pooled[:, m]), dim=1) for m, branch in enumerate(net.branches)]
        real, surrogate = torch.stack(features, 1).chunk(2)
        pedal = plain_pedal(real, self.memory.update(self.rows, real), self.rows)
        return plain_ipfl(real.flatten(1), surrogate.flatten(1)) + 2 * pedal

    def our_losses(self) -> Tensor:
        """IPFL and PEDAL as the engine has them."""
        with self.precision.autocast():
            real, surrogate = self.model(self.images).chunk(2)
        pedal = our_pedal(self.memory, real, self.rows)
        return our_ipfl(real.flatten(1), surrogate.flatten(1)) + 2 * pedal

    def __call__(self) -> None:
        self.precision.step(self.plain_losses() if self.plain else self.our_losses(), self.optimizer)

    def floor(self) -> None:
        """What no implementation can leave out: backbone forward and backward, PGN forward."""
        self.model.zero_grad()
        with self.precision.autocast():
            maps = self.model.backbone.featuremaps(self.images)
            with torch.no_grad():
                self.model.pgn(maps)
        maps.float().mean().backward()


def bench_step(device: torch.device, amp: str) -> Runs:
    """The whole step, and its floor; in full precision also ours in bf16."""
    ours = WholeStep(device, amp)
    pairs = {'plain': WholeStep(device, plain=True), 'ours': ours, 'floor': ours.floor}
    if amp == 'off':
        pairs['ours, bf16'] = WholeStep(device, 'bf16')
    return pairs
