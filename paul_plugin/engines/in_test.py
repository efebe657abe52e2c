"""How a test describes images: by faster copies of the model, the norms of cameras, and without cameras' means."""

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..method.camera_means import CameraMeans
from ..method.camera_norms import CameraNorms
from ..method.folding import Describing
from ..runtime.places import places_of
from .camera_norms import camera_norms
from .centring import camera_means

_MOST_BYTES = 2**31  # of the faster copies of all cameras' networks, each of which has weights of its own


class InTest:
    """What one test describes with: no weight changes in it, so copies of the model stay good.

    Args:
        model: the network.
        extract: a network and images -> descriptors, as torchreid has them.

    Attributes:
        norms: of cameras; None describes all images by the model's own.
        means: of cameras, which are taken off; None for none.
    """

    def __init__(self, model: nn.Module, extract: Callable[[nn.Module, Tensor], Tensor]) -> None:
        self.model = model
        self.extract = extract
        self.norms: CameraNorms | None = None
        self.means: CameraMeans | None = None
        self._copies: dict[nn.Module, Describing] = {}

    def take_from_cameras(self, engine) -> None:
        """What the engine's test takes from the cameras of training images, if there is anything to test; all call it.

        Args:
            engine: whose test this is.
        """
        if engine.test_loader:
            self.norms = camera_norms(engine) if engine.camera_norms else None
            self.means = camera_means(engine) if engine.centre_cameras else None

    def describe(self, images: Tensor, cameras: Sequence[int]) -> Tensor:
        """(b, 3, H, W) and b cameras -> (b, E), without any mean taken off."""
        if self.norms is None:
            return self._by(self.model, images)
        places = places_of(map(self.norms.network, cameras))
        rows = torch.cat([self._by(network, images[own]) for network, own in places.items()])
        return rows[torch.tensor([place for own in places.values() for place in own]).argsort()]

    def _by(self, network: nn.Module, images: Tensor) -> Tensor:
        if self._copied:
            network = self._copies.setdefault(network, Describing(network)).network(images)
        return self.extract(network, images)

    @functools.cached_property
    def _copied(self) -> bool:
        """Whether there is memory for the copies."""
        networks = 1 if self.norms is None else len(self.norms.statistics)
        return networks * sum(weight.nbytes for weight in self.model.parameters()) <= _MOST_BYTES

    def centred(self, descriptors: Tensor, cameras: Sequence[int]) -> Tensor:
        """(b, E) and b cameras -> (b, E)."""
        return descriptors if self.means is None else self.means.centred(descriptors, cameras)
