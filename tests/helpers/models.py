"""Models that are small: one to train in no time, one that is exported in seconds, and one that exporters fail at."""

import torch
from torch import Tensor, nn

from paul_plugin.host.models import build_backbone
from paul_plugin.method.patchnet import PatchNet


class FewLayers(nn.Module):
    """A backbone of three convolutions, a sixteenth of the image, in the place of one of torchreid's."""

    def __init__(self) -> None:
        super().__init__()
        layers = []
        for before, after, stride in ((3, 16, 4), (16, 32, 2), (32, 64, 2)):
            conv = nn.Conv2d(before, after, 5 if stride == 4 else 3, stride, padding=stride // 2, bias=False)
            layers += [conv, nn.BatchNorm2d(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def featuremaps(self, images: Tensor) -> Tensor:
        return self.layers(images)


def few_layers(**options) -> PatchNet:
    """A PatchNet on them: a step of training takes a tenth of that of the smallest OSNet."""
    return PatchNet(FewLayers(), channels=64, num_classes=1, **options)


def small_patchnet(patch_source: str = 'pgn', stages: int = 1) -> PatchNet:
    """On the first layers of ResNet-18; the patches are of their own in each image, some beyond its edge."""
    torch.manual_seed(0)
    backbone = build_backbone('resnet18', pretrained=False)
    for stage in range(1, 5):
        if stage <= stages:
            del getattr(backbone, f'layer{stage}')[1:]
        else:
            setattr(backbone, f'layer{stage}', nn.Identity())
    model = PatchNet(backbone, channels=32 * 2**stages, num_classes=1, loss='paul', dim=16, patch_source=patch_source)
    model(torch.randn(8, 3, 96, 48))  # BatchNorm has statistics of its own
    if patch_source == 'pgn':
        last = model.pgn.regression[2]
        with torch.no_grad():
            last.weight.normal_(std=0.2)
            last.bias.add_(torch.randn_like(last.bias) * 0.3)
    return model.eval()


class DecidesInPython(nn.Module):
    """What a trace cannot hold: it does another thing with one image, and a trace of two does not know."""

    feature_dim = 96

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        descriptors = self.model(images)
        return descriptors.flip(1) if len(images) == 1 else descriptors
