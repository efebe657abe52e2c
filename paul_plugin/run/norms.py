"""Measures the norms that a file of weights, of ONNX, does not tell the statistics of: on a run's training images."""

from collections.abc import Collection, Iterator

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from yacs.config import CfgNode

from ..checkpoints.norms import measure_norms
from ..config import arguments
from ..data.descriptors import ImageFiles
from ..host.data import DataManager, training_images
from ..host.engine import unwrap
from ..host.progress import bar
from ..runtime import processes, stopping
from ..runtime.randomness import NORMS, seeded

MOST = 2048  # training images that are shown


def measure_on_training_images(
    cfg: CfgNode, model: nn.Module, datamanager: DataManager, names: Collection[str], most: int = MOST
) -> None:
    """Gives norms the statistics of the run's own training images, and says so; what the model computes stays the same.

    The images are drawn by the seed, and shown as a test shows them. Every process measures, the first one's are taken.

    Args:
        cfg: the run's.
        model: as the engine has it.
        datamanager: with the training images.
        names: of the norms, as `LoadedWeights.unmeasured` has them; without any nothing is done.
        most: images that are shown.

    Raises:
        Stopped: if the run was asked to stop.
    """
    if not names:
        return
    paths = _drawn(datamanager, cfg.train.seed, most)
    images = DataLoader(
        ImageFiles(paths, datamanager.transform_te),
        batch_size=cfg.test.batch_size,
        num_workers=arguments.workers(cfg),
        generator=torch.Generator(),  # torch's own is not drawn from
    )
    net = unwrap(model)
    measured = measure_norms(net, _until_stopped(images), names)
    own = net.state_dict()
    keys = [f'{name}.{part}' for name in measured for part in ('weight', 'bias', 'running_mean', 'running_var')]
    told = processes.from_first({key: own[key].cpu() for key in keys})
    net.load_state_dict(told, strict=False)
    print(f'measured the statistics of {len(measured)} BatchNorm layers on {len(paths)} training images')


def _drawn(datamanager: DataManager, seed: int, most: int) -> list[str]:
    """Files of training images: all, or so many drawn by the seed, whatever the order that the disk has them in."""
    items = sorted(training_images(datamanager))
    paths = [item if isinstance(item, str) else item[0] for item in items]  # of a video its first image
    with seeded(seed, NORMS):
        return [paths[place] for place in sorted(torch.randperm(len(paths))[:most].tolist())]


def _until_stopped(images: DataLoader) -> Iterator[Tensor]:
    for batch in bar(images, 'Measuring the statistics of BatchNorm layers', ' batches'):
        stopping.check()
        yield batch
