"""Which precision is the fastest on this machine: times the backbone in each, as `train.amp auto` asks."""

import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ..data.descriptors import eval_mode
from ..host.data import DataManager
from ..host.engine import unwrap
from ..method.patchnet import PatchNet
from ..runtime import processes
from .precision import DTYPES

ROUNDS = 3  # that count, after one that does not
FASTER = 0.9  # of the time of a more exact precision, that another must stay below to be taken
IMAGES_ON_CPU = 4  # of a batch; a GPU shows its speed with the whole batch only


def chooser(datamanager: DataManager, model: torch.nn.Module) -> Callable[[], str]:
    """Calls `choose_precision` for the images of a run."""
    share = datamanager.train_loader.batch_size // processes.world_size()
    return lambda: choose_precision(unwrap(model), datamanager.height, datamanager.width, share)


def choose_precision(net: PatchNet, height: int, width: int, batch: int) -> str:
    """The precision in which a training step is the fastest, which it says; all processes call it.

    The first process times the backbone, which most of a step is spent in, for all. On a CPU half precision can be
    slower than none; float16 is tried on GPUs alone. No random number is drawn, and the model stays as it is.

    One convolution would be timed sooner, but tells less: a 1x1 one of `osnet_x0_25` at 96x48 took 0.4 to 0.5 of its
    time in bfloat16, the network with its backward pass 0.8 to 1.2, on an EPYC beside other work.

    Args:
        net: the model.
        height, width: of its images.
        batch: images of a process' step.

    Returns:
        `off`, `bf16` or `fp16`.
    """
    taken = None
    if processes.is_first():
        device = next(net.parameters()).device
        number = batch if device.type == 'cuda' else min(batch, IMAGES_ON_CPU)
        images = torch.ones(number, 3, height, width, device=device)
        ways = [amp for amp in DTYPES if amp != 'fp16' or device.type == 'cuda']
        with eval_mode(net):
            rounds = [{amp: seconds(net, images, amp) for amp in ways} for _ in range(1 + ROUNDS)]
        times = {amp: statistics.median(each[amp] for each in rounds[1:]) for amp in ways}
        taken = fastest(times)
        told = ', '.join(f'{amp} {1000 * took:.4g} ms' for amp, took in times.items())
        print(f'train.amp auto: the backbone, forward and backward, {number} images: {told}: takes {taken}')
    return processes.from_first(taken)


def fastest(times: Mapping[str, float]) -> str:
    """The precision of the least time; a less exact one only if it is clearly faster.

    Example:
        >>> fastest({'off': 1.0, 'bf16': 0.95}), fastest({'off': 1.0, 'bf16': 0.5, 'fp16': 0.48})
        ('off', 'bf16')
    """
    best, *others = (amp for amp in DTYPES if amp in times)
    for amp in others:
        if times[amp] < FASTER * times[best]:
            best = amp
    return best


@torch.enable_grad()  # the bank is filled without
def seconds(net: PatchNet, images: Tensor, amp: str) -> float:
    """Seconds of the backbone's forward and backward pass; the gradients are not kept."""
    weights = [weight for weight in net.backbone.parameters() if weight.requires_grad]
    start = _now(images)
    with torch.autocast(images.device.type, DTYPES[amp], enabled=DTYPES[amp] is not None):
        maps = net.backbone.featuremaps(images)
    if weights:
        torch.autograd.grad(maps, weights, torch.ones_like(maps), allow_unused=True)
    return _now(images) - start


def _now(tensor: Tensor) -> float:
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)
    return time.perf_counter()
