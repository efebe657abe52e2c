"""torchreid's models: its table, which has no way in, and its backbones without their heads."""

import functools
import os
import warnings
from collections.abc import Callable, Mapping

import torch
from torch import nn
from torchreid import models, utils

from . import module_of


class PretrainedWeightsWarning(UserWarning):
    """ImageNet weights could not be had; `tools/main.py` turns it into an error."""


def _model_factory() -> dict[str, Callable]:
    """torchreid has `register_image_dataset` but no way to register a model: its table is a private name."""
    return models.__dict__['__model_factory']


def available_models() -> list[str]:
    return list(_model_factory())


def weights_cache(backbone: str) -> str:
    """Where torchreid looks for a backbone's ImageNet weights before it fetches them."""
    if backbone.startswith('osnet'):
        cache = os.path.join(os.getenv('XDG_CACHE_HOME', '~/.cache'), 'torch')
        home = os.path.expanduser(os.getenv('TORCH_HOME', cache))
        return os.path.join(home, 'checkpoints', f'{backbone}_imagenet.pth')
    return os.path.join(torch.hub.get_dir(), 'checkpoints')


def _or_random_weights(name: str, factory: Callable[..., nn.Module], pretrained: bool) -> nn.Module:
    """torchreid's model; with a warning from random weights, where ImageNet's are wanted and cannot be had."""
    try:
        return factory(pretrained=pretrained)
    except Exception as error:  # torchreid downloads by urllib and by gdown: each fails in its own ways
        if not pretrained:
            raise
        reason = str(error).strip().splitlines()
        warnings.warn(
            f'no ImageNet weights for {name} ({reason[0] if reason else type(error).__name__}): '
            'it starts from random weights',
            PretrainedWeightsWarning,
            stacklevel=3,
        )
        return factory(pretrained=False)


def register_models(ours: Mapping[str, Callable[..., nn.Module]]) -> None:
    """Adds models to torchreid's table, and lets `build_model` take them without classes and with their own options.

    Args:
        ours: name -> function that builds the model.
    """
    _model_factory().update(ours)
    torchreid_build_model = getattr(models.build_model, '__wrapped__', models.build_model)

    @functools.wraps(torchreid_build_model)
    def build_model(name, *args, **kwargs):
        if name in ours:
            # torchreid's own function has no default for num_classes and passes no further argument on.
            return ours[name](*args, **kwargs)
        return torchreid_build_model(name, *args, **kwargs)

    models.build_model = build_model


def count_flops_as(layer: type, known: str) -> None:
    """Has `compute_model_complexity` count a layer of ours like one of torch's.

    torchreid looks a layer up by the name of its class, in two private tables, and passes over one that it does not
    find.
    """
    tables = module_of(utils.compute_model_complexity).__dict__
    for table in (tables['__generic_flops_counter'], tables['__conv_linear_flops_counter']):
        table[layer.__name__] = table[known]


def build_model(name: str, pretrained: bool, **options) -> nn.Module:
    """One of torchreid's models. Where it finds no ImageNet weights, it warns, which torchreid's function does not."""
    return _or_random_weights(name, functools.partial(models.build_model, name, **options), pretrained)


def build_backbone(name: str, pretrained: bool = True) -> nn.Module:
    """torchreid's model without its heads, last stride 1: a feature map of 1/16 of the image's size."""
    factory = functools.partial(_model_factory()[name], num_classes=1, loss='softmax', use_gpu=False)
    net = _or_random_weights(name, factory, pretrained)
    # torchreid's resnet functions fix last_stride=2 and refuse another, but the stride is an attribute of two layers.
    if hasattr(net, 'layer4'):
        for layer in net.layer4.modules():
            if isinstance(layer, nn.Conv2d):
                layer.stride = (1, 1)
    net.fc = net.classifier = None
    return net


def feature_channels(backbone: nn.Module) -> int:
    """C of the feature map: torchreid's models keep no such number once `fc` changed `feature_dim`."""
    training = backbone.training
    with torch.no_grad():
        channels = backbone.eval().featuremaps(torch.zeros(1, 3, 64, 64)).shape[1]
    backbone.train(training)
    return channels
