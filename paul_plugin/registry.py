"""What we put into torchreid's tables: models, a transform, engines, data sets, and our reader of images."""

import functools

import torchreid
from torch import nn

from .data.folder import NAME, FolderDataset
from .data.images import read_image
from .data.synthetic.datasets import CLASSES
from .host import data, models
from .host.engine import register_engine
from .host.visrank import register_visrank
from .method.patchnet import PatchNet
from .method.surrogate import PairTransform, SurrogatePositive
from .method.winograd import WinogradConv2d
from .runtime.choices import SURROGATE

# Our models: registered name -> torchreid's backbone, any of its models with `featuremaps`. ResNet-50 is the paper's.
BACKBONES = {'paul': 'resnet50', **{f'paul_{name}': name for name in models.backbones()}}
SUCH_AS = "paul, or paul_ and the name of one of torchreid's backbones, such as paul_osnet_x0_25"


def build_patchnet(
    backbone_name: str,
    num_classes: int = 1,
    loss: str = 'softmax',
    pretrained: bool = True,
    use_gpu: bool = True,
    **options,
) -> PatchNet:
    """Builds PatchNet on one of torchreid's backbones.

    Args:
        backbone_name: a key of torchreid's model table.
        num_classes, loss, pretrained, use_gpu: as in torchreid's `build_model`.
        options: further arguments of PatchNet (`num_patches`, `dim`, `patch_source`, ...).
    """
    backbone = models.build_backbone(backbone_name, pretrained)
    return PatchNet(backbone, models.feature_channels(backbone), num_classes, loss, **options)


def build_model(name: str, pretrained: bool, **options) -> nn.Module:
    """Any model by name, ours or torchreid's; where it finds no ImageNet weights, it warns."""
    build = torchreid.models.build_model if name in BACKBONES else models.build_model
    return build(name, pretrained=pretrained, **options)


def register(*engines: type) -> None:
    """Registers everything with torchreid.

    Args:
        engines: classes that get a place in `torchreid.engine`.
    """
    models.register_models({name: functools.partial(build_patchnet, of) for name, of in BACKBONES.items()})
    models.count_flops_as(WinogradConv2d, 'Conv2d')
    data.register_transform(SURROGATE, lambda *stages: PairTransform(*stages, SurrogatePositive()))
    data.register_reader(read_image)
    register_visrank(read_image)
    data.make_downloads_safe()
    for name, made in {**CLASSES, NAME: FolderDataset}.items():
        data.register_dataset(name, made)
    for engine in engines:
        register_engine(engine)
