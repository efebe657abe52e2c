"""Tests by the BatchNorm statistics of each camera, which training images tell without a label."""

import itertools
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import DataLoader

from ..host.engine import unwrap
from ..host.progress import Shown
from ..method.camera_norms import CameraNorms, statistics_of
from ..runtime import processes, stopping
from ..runtime.places import places_of
from .centring import dataset_of_means

_BATCH = 64  # images of a camera that pass at a time, at most
_FEWEST = 2  # images of a camera: one has no variance


def batches_of_cameras(items: Sequence[tuple], size: int = _BATCH) -> dict[int, list[list[int]]]:
    """The places of each camera's images, in batches of nearly equal size; nothing of a camera with a single one.

    Args:
        items: torchreid's, (path, pid, camid, ...).
        size: images of a batch, at most.

    Returns:
        camera -> its batches; one holds images from all over the camera's list, as neighbours there may show a person.
    """
    batches = {}
    for camera, own in sorted(places_of(item[2] for item in items).items()):
        if len(own) >= _FEWEST:
            number = -(-len(own) // size)
            batches[camera] = [own[first::number] for first in range(number)]
    return batches


@torch.no_grad()
def camera_norms(engine) -> CameraNorms:
    """The norms of each camera, of the images that tell the means of cameras, too; says what it did.

    All processes call it, and each measures all: with SyncBatchNorm every process must pass the same batches.
    """
    dataset = dataset_of_means(engine)
    batches = batches_of_cameras(dataset.data)
    loader = DataLoader(
        dataset,
        batch_sampler=[batch for own in batches.values() for batch in own],
        num_workers=engine.datamanager.train_loader.num_workers,
        generator=torch.Generator(),
    )
    model = unwrap(engine.model)
    processes.copy_buffers(model)
    engine.set_model_mode('eval')
    shown = iter(Shown(loader, 'norms of cameras'))
    statistics = {
        camera: statistics_of(model, _images(itertools.islice(shown, len(own)), engine.use_gpu))
        for camera, own in batches.items()
    }
    cameras = len({item[2] for item in dataset.data})
    print(f'Camera norms: by {len(dataset.data)} training images of {cameras} cameras')
    if len(batches) < cameras:
        print(f"* cameras with a single image keep the model's own norms: {cameras - len(batches)} of {cameras}")
    return CameraNorms(model, processes.from_first(statistics))


def _images(batches: Iterator[dict], use_gpu: bool) -> Iterator[torch.Tensor]:
    for batch in batches:
        stopping.check_together()
        yield batch['img'].cuda() if use_gpu else batch['img']
