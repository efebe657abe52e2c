"""A network as a CPU describes fastest with it: batch norms folded into convolutions, channels last, on a copy."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

LARGEST_DIFFERENCE = 1e-5  # of a number to the network's own, of those of the largest absolute value
_SHOWN = 2  # images that tell which norm follows which convolution, and whether all is as before


class Describing:
    """A model as it describes, for as long as its weights stay: the copy is made at the first images.

    Args:
        model: in eval mode at the first images; it stays as it is.

    Example:
        >>> describing = Describing(model.eval())
        >>> descriptors = [describing(batch) for batch in batches]
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._network: nn.Module | None = None

    def network(self, images: Tensor) -> nn.Module:
        """What describes images like these: the copy, made now if there is none, or the model itself."""
        if self._network is None:
            self._network = folded(self.model, images[:_SHOWN])
        return self._network

    def __call__(self, images: Tensor) -> Tensor:
        return self.network(images)(images)


@torch.no_grad()
def folded(model: nn.Module, images: Tensor) -> nn.Module:
    """A copy that gives the same numbers to `LARGEST_DIFFERENCE`, on a CPU in a fraction of the time.

    Which norm follows which convolution is seen as the images pass, so the model need not be traceable. Where the
    numbers come out differently, say because a convolution's output goes elsewhere too, the copy has its norms.

    Args:
        model: any network of images; it stays as it is.
        images: (B, 3, H, W), some that it is to take.

    Returns:
        The copy; the model itself in training mode, on a GPU, for other than images, or where it has no convolution
        or cannot be copied.
    """
    if model.training or images.ndim != 4 or images.device.type != 'cpu':
        return model
    try:
        network = copy.deepcopy(model)
    except Exception:  # what a module of somebody else's holds may not be copied, in many ways
        return model
    pairs = _pairs(network, images)
    if pairs is None:
        return model
    _fold(network, pairs)
    network.to(memory_format=torch.channels_last)
    if pairs and not _alike(model(images), network(images)):
        network = copy.deepcopy(model).to(memory_format=torch.channels_last)
    return network


def _pairs(network: nn.Module, images: Tensor) -> list[tuple[nn.Module, nn.Module]] | None:
    """Convolutions and the norms that read their output, each met once; None if no convolution was met."""
    made: list[tuple[nn.Module, Tensor]] = []  # the outputs are held, so that no other tensor takes the place of one
    met: list[tuple[nn.Module, Tensor]] = []
    hooks = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(lambda layer, _, output: made.append((layer, output))))
        elif isinstance(module, nn.BatchNorm2d) and module.track_running_stats and module.affine:
            hooks.append(module.register_forward_pre_hook(lambda layer, inputs: met.append((layer, inputs[0]))))
    try:
        network(images)
    finally:
        for hook in hooks:
            hook.remove()
    if not made:
        return None
    of_output = {id(output): layer for layer, output in made}
    convs, norms = [layer for layer, _ in made], [layer for layer, _ in met]
    pairs = [(of_output[id(read)], norm) for norm, read in met if id(read) in of_output]
    return [(conv, norm) for conv, norm in pairs if convs.count(conv) == norms.count(norm) == 1]


def _fold(network: nn.Module, pairs: list[tuple[nn.Module, nn.Module]]) -> None:
    """Puts folded convolutions in the place of these, and nothing in the place of the norms."""
    name_of = {id(module): name for name, module in network.named_modules()}
    for conv, norm in pairs:
        for module, other in ((conv, fuse_conv_bn_eval(conv, norm)), (norm, nn.Identity())):
            parent, _, name = name_of[id(module)].rpartition('.')
            setattr(network.get_submodule(parent), name, other)


def _alike(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() <= LARGEST_DIFFERENCE * max(1.0, one.abs().max().item()))
