"""torchreid's models: its table, which has no way in, and its backbones without their heads."""

import functools
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torchreid import models, utils

from . import module_of


class PretrainedWeightsWarning(UserWarning):
    """ImageNet weights could not be had; `tools/main.py` turns it into an error."""


def _model_factory() -> dict[str, Callable]:
    """torchreid has `register_image_dataset` but no way to register a model: its table is a private name."""
    return models.__dict__['__model_factory']


def available_models() -> list[str]:
    return list(_model_factory())


def _has_featuremaps(factory: Callable) -> bool:
    """Whether a model has `featuremaps`: torchreid's factories stand in the module of their model's class."""
    module = sys.modules.get(factory.__module__)
    classes = inspect.getmembers(module, inspect.isclass)
    return any(issubclass(kind, nn.Module) and hasattr(kind, 'featuremaps') for _, kind in classes)


def backbones() -> list[str]:
    """torchreid's models that give their feature map, told without building any of them."""
    # resnet50mid's `featuremaps` gives three maps.
    return [name for name, factory in _model_factory().items() if name != 'resnet50mid' and _has_featuremaps(factory)]


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


def _without_heads(net: nn.Module) -> nn.Module:
    net.fc = net.classifier = None
    return net


def build_backbone(name: str, pretrained: bool = True) -> nn.Module:
    """torchreid's model without its heads, last stride 1: a feature map of 1/16 of the image's size."""
    factory = functools.partial(_model_factory()[name], num_classes=1, loss='softmax', use_gpu=False)
    net = _without_heads(_or_random_weights(name, factory, pretrained))
    for layer in _last_strides(net):
        # torchreid's functions fix the strides and refuse others, but a stride is an attribute of a layer.
        layer.stride = (1, 1)
    return net


@functools.cache
def layers_of(name: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what the state dict of a backbone holds, which is built without memory."""
    with torch.device('meta'):
        net = _without_heads(_model_factory()[name](num_classes=1, loss='softmax', pretrained=False, use_gpu=False))
    return {key: tuple(value.shape) for key, value in net.state_dict().items()}


def backbone_of(layers: Mapping[str, tuple[int, ...]], likely: str = '') -> str | None:
    """The backbone whose state dict has these layers; counters, which old files lack, and heads do not count.

    Args:
        layers: names and shapes.
        likely: the backbone that is tried first.

    Returns:
        Its name; of several that are alike the likely one, or the first. None if there is none.
    """
    found = _compared(layers)
    other_kinds = set()  # models of one module differ by their sizes: where the parts differ, none of them fits
    for name in sorted(backbones(), key=lambda name: name != likely):
        kind = _model_factory()[name].__module__
        if kind in other_kinds:
            continue
        own = _compared(layers_of(name))
        if own == found:
            return name
        if {key.partition('.')[0] for key in own} != {key.partition('.')[0] for key in found}:
            other_kinds.add(kind)
    return None


def _compared(layers: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {
        key: shape
        for key, shape in layers.items()
        if not key.startswith(('fc.', 'classifier.')) and not key.endswith('.num_batches_tracked')
    }


_PROBE = (256, 128)  # pixels, torchreid's usual size: InceptionResNetV2, for one, takes no much smaller image


@torch.no_grad()
def _map_of(net: nn.Module) -> Tensor:
    """The feature map of one black image."""
    training = net.training
    maps = net.eval().featuremaps(torch.zeros(1, 3, *_PROBE, device=next(net.parameters()).device))
    net.train(training)
    return maps


def _last_strides(net: nn.Module) -> list[nn.Module]:
    """The layers, of the last stage and its shortcuts, that make a feature map smaller than 1/16 of the image.

    Found by what happens to an image, as each of torchreid's models has its own names.
    """
    met = []  # layers with a stride, in the order of the forward pass, with the size of the map that each reads
    strided = [layer for layer in net.modules() if _stride(layer) > 1]
    hooks = [
        layer.register_forward_pre_hook(lambda layer, inputs: met.append((layer, inputs[0].shape[2:])))
        for layer in strided
    ]
    height = _map_of(net).shape[2]
    for hook in hooks:
        hook.remove()
    if height * 16 >= _PROBE[0]:
        return []
    return [layer for layer, size in met if size == met[-1][1]]


def _stride(layer: nn.Module) -> int:
    """A layer's stride; that of a layer without one is 1."""
    stride = getattr(layer, 'stride', 1)
    return stride if isinstance(stride, int) else max(stride)


def feature_channels(backbone: nn.Module) -> int:
    """C of the feature map: torchreid's models keep no such number once `fc` changed `feature_dim`."""
    return _map_of(backbone).shape[1]
