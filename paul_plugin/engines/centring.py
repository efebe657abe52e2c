"""Tests of descriptors without the mean of their camera, which training images tell without a label."""

import copy
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ..host.engine import unwrap
from ..host.progress import Shown
from ..method.camera_means import CameraMeans
from ..runtime import processes, stopping
from ..runtime.randomness import CENTRING, seeded
from .parallel import DistributedEngine, SplitTest

MOST = 4096  # training images that are described for the means, of all cameras together


def images_of_means(items: Sequence[tuple], seed: int, most: int = MOST) -> list[tuple]:
    """The training images that the means are taken from: all, or of each camera as many, drawn by the seed.

    Args:
        items: torchreid's, (path, pid, camid, ...), in any order.
        seed: at least 0.
        most: how many in all; of each camera at least one.

    Returns:
        The items, sorted by path.
    """
    of_camera = defaultdict(list)
    for item in sorted(items, key=lambda item: item[0]):
        of_camera[item[2]].append(item)
    if len(items) > most:
        share = max(1, most // len(of_camera))
        with seeded(seed, CENTRING):
            for camera in sorted(of_camera):
                own = of_camera[camera]
                of_camera[camera] = [own[place] for place in torch.randperm(len(own))[:share].tolist()]
    return sorted((item for own in of_camera.values() for item in own), key=lambda item: item[0])


class CentredTests(DistributedEngine):
    """Mixin for torchreid's engines; put it first. It changes nothing while `centre_cameras` is False.

    Attributes:
        centre_cameras: in tests, take off each descriptor the mean of its camera, see `CameraMeans`. The means are
            those of at most `MOST` training images, described by the model in eval mode for each test anew. The data
            set that is tested must be the one that is trained on, or its numbers would be of other cameras.
    """

    centre_cameras = False

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.means: CameraMeans | None = None
        self._camids: list[int] = []  # of the batch whose descriptors are asked for next

    def parse_data_for_eval(self, data: dict) -> tuple:
        images, pids, camids = super().parse_data_for_eval(data)
        self._camids = camids.tolist()
        return images, pids, camids

    def extract_features(self, input: Tensor) -> Tensor:
        descriptors = super().extract_features(input)
        return descriptors if self.means is None else self.means.centred(descriptors, self._camids)

    def test(self, *args, **kwargs) -> float:
        if self.centre_cameras and self.test_loader:
            self.means = self._camera_means()
        try:
            return super().test(*args, **kwargs)
        finally:
            self.means = None

    @torch.no_grad()
    def _camera_means(self) -> CameraMeans:
        """Describes training images as a test does, shared by the processes in whole batches; says what it did."""
        trained_on = self.datamanager.train_loader
        dataset = copy.copy(trained_on.dataset)
        dataset.transform = self.datamanager.transform_te
        dataset.data = images_of_means(trained_on.dataset.data, self.seed)
        tested = next(iter(self.test_loader.values()))['query']
        loader = DataLoader(
            dataset,
            batch_size=tested.batch_size,
            num_workers=tested.num_workers,
            pin_memory=tested.pin_memory,
            generator=torch.Generator(),
        )
        if processes.world_size() > 1:
            processes.copy_buffers(unwrap(self.model))
        self.set_model_mode('eval')
        with self.described_fast(), stopping.instead_of_errors():
            batches = Shown(SplitTest(loader, self._extract), 'camera means')
            means = CameraMeans.of((batch['img'], batch['camid'].tolist()) for batch in batches)
        cameras = len(means.means)
        print(f'Camera centring: by the mean descriptors of {len(dataset.data)} training images of {cameras} cameras')
        if cameras == 1:
            print('* one mean for all images: the training images are of one camera, or their cameras are unknown')
        else:
            self._say_unknown(means)
        return means

    def _say_unknown(self, means: CameraMeans) -> None:
        """Says which images to test on have a camera that no training image is of."""
        for name, parts in self.test_loader.items():
            camids = [item[2] for loader in parts.values() for item in loader.dataset.data]
            others = sum(camera not in means.means for camera in camids)
            if others:
                print(
                    f'* {name}: {others} of {len(camids)} images are of cameras without a training image: the mean '
                    "over the cameras' means is taken off them"
                )
