"""A model that exporters cannot follow, as what it does is decided in Python."""

from torch import Tensor, nn


class DecidesInPython(nn.Module):
    """What a trace cannot hold: it does another thing with one image, and a trace of two does not know."""

    feature_dim = 96

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        descriptors = self.model(images)
        return descriptors.flip(1) if len(images) == 1 else descriptors
