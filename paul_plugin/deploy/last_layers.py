"""A PatchNet and its last layers: what its descriptors go through, a reduction or a camera's mean."""

from torch import nn

from ..run.trained import Trained


class Layered(nn.Sequential):
    """A PatchNet, and the layers after it.

    Attributes:
        feature_dim: numbers of the descriptor, torchreid's name.
        camera: whose mean is taken off; '' for none.
    """

    def __init__(self, net: nn.Module, layers: tuple[nn.Module, ...], feature_dim: int, camera: str = '') -> None:
        super().__init__(net, *layers)
        self.feature_dim = feature_dim
        self.camera = camera


def net_and_layers(model: nn.Module) -> tuple[nn.Module, tuple[nn.Module, ...]]:
    """A trained model as its PatchNet and the layers after it, if there are any."""
    net, *layers = model if isinstance(model, Layered) else (model,)
    return net, tuple(layers)


def with_layers(trained: Trained, *layers: nn.Module, feature_dim: int = 0, camera: str = '') -> Trained:
    """The same model with more layers after it; `feature_dim` 0 for as many numbers as before."""
    net, before = net_and_layers(trained.model)
    model = Layered(net, (*before, *layers), feature_dim or trained.dim, camera)
    return trained._replace(model=model.to(trained.device).eval())
