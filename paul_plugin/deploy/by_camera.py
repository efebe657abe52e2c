"""Images described as the test of a run describes them: by the norms of their cameras, where it asks for them."""

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ..checkpoints.norms import measure_norms, unmeasured
from ..data.descriptors import ImageFiles
from ..engines.camera_norms import batches_of_cameras
from ..engines.centring import images_of_means
from ..host.data import DataManager
from ..method.camera_norms import CameraNorms, statistics_of
from ..run.trained import Trained
from ..runtime.places import places_of
from .as_tested import described


def training_norms(trained: Trained, datamanager: DataManager) -> CameraNorms:
    """The norms of each camera, of the run's training images; no camera has any without `test.camera_norms`."""
    if not trained.cfg.test.camera_norms:
        return CameraNorms(trained.model, {})
    items = images_of_means(datamanager.train_loader.dataset.data, trained.cfg.train.seed)
    images = ImageFiles([item[0] for item in items], trained.transform())
    of_cameras = batches_of_cameras(items)

    def batches(*cameras: int) -> Iterator[Tensor]:
        sampler = [batch for camera in cameras for batch in of_cameras[camera]]
        loader = DataLoader(images, batch_sampler=sampler, generator=torch.Generator())
        return (batch.to(trained.device) for batch in loader)

    model = trained.model
    names = unmeasured(model)
    if names and of_cameras:  # a camera's statistics mean nothing to a layer that was never measured
        model = copy.deepcopy(model)
        measure_norms(model, batches(*of_cameras), names)
    return CameraNorms(model, {camera: statistics_of(model, batches(camera)) for camera in of_cameras})


def described_items(trained: Trained, items: Sequence[tuple], norms: CameraNorms) -> Tensor:
    """Descriptors of torchreid's items, (path, pid, camid, ...): (N, E), on the CPU, of length 1."""
    rows = torch.empty(len(items), trained.dim)
    for model, own in places_of(norms.network(item[2]) for item in items).items():
        rows[own] = described(trained._replace(model=model), [items[place][0] for place in own])
    return rows
