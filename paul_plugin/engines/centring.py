"""Tests of descriptors without the mean of their camera, which training images tell without a label."""

import copy
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch.utils.data import DataLoader, Dataset

from ..data.ids import camera_name
from ..host.engine import unwrap
from ..host.progress import Shown
from ..method.camera_means import CameraMeans
from ..runtime import processes
from ..runtime.randomness import CENTRING, seeded
from .parallel import SplitTest

MOST = 4096  # training images that are described for the means, of all cameras together
_LISTED = 20  # cameras that are named


def images_of_means(items: Sequence[tuple], seed: int, most: int = MOST) -> list[tuple]:
    """The training images that the means are taken from: all, or of each camera as many, drawn by the seed.

    Args:
        items: torchreid's, (path, pid, camid, ...), in any order.
        seed: at least 0.
        most: how many in all; of each camera at least two, where it has them, as one makes no mean.

    Returns:
        The items, sorted by path.
    """
    of_camera = defaultdict(list)
    for item in sorted(items, key=lambda item: item[0]):
        of_camera[item[2]].append(item)
    if len(items) > most:
        share = max(2, most // len(of_camera))
        with seeded(seed, CENTRING):
            for camera in sorted(of_camera):
                own = of_camera[camera]
                of_camera[camera] = [own[place] for place in torch.randperm(len(own))[:share].tolist()]
    return sorted((item for own in of_camera.values() for item in own), key=lambda item: item[0])


def dataset_of_means(engine) -> Dataset:
    """The engine's training images of `images_of_means`, as a test has them."""
    trained_on = engine.datamanager.train_loader.dataset
    dataset = copy.copy(trained_on)
    dataset.transform = engine.datamanager.transform_te
    dataset.data = images_of_means(trained_on.data, engine.seed)
    return dataset


@torch.no_grad()
def camera_means(engine) -> CameraMeans:
    """The mean descriptor of each camera, of at most `MOST` training images; says what it did. All processes call it.

    The images are described as in a test, shared by the processes in whole batches. The data set that is tested must
    be the one that is trained on, or its numbers would be of other cameras.
    """
    dataset = dataset_of_means(engine)
    tested = next(iter(engine.test_loader.values()))['query']
    loader = DataLoader(
        dataset,
        batch_size=tested.batch_size,
        num_workers=tested.num_workers,
        pin_memory=tested.pin_memory,
        generator=torch.Generator(),
    )
    processes.copy_buffers(unwrap(engine.model))
    engine.set_model_mode('eval')
    batches = Shown(SplitTest(loader, engine.in_test.describe, engine.in_test.norms is not None), 'camera means')
    means = CameraMeans.of((batch['img'], batch['camid'].tolist()) for batch in batches)
    cameras = len(means.means) + len(means.lone)
    print(f'Camera centring: by the mean descriptors of {len(dataset.data)} training images of {cameras} cameras')
    if cameras == 1:
        print('* one mean for all images: the training images are of one camera, or their cameras are unknown')
    else:
        if means.lone:
            print(f'* {lone_of_training(means, dataset)}')
        _say_unknown(engine, means)
    return means


def lone_of_training(means: CameraMeans, dataset: object) -> str:
    """`lone_in_words` of a data set of torchreid, whose training images gave the means."""
    names = [camera_name(dataset, number) for number in sorted(means.lone)]
    return lone_in_words(names, len(means.means), 'training image')


def lone_in_words(names: Sequence[str], others: int, image: str) -> str:
    """Which cameras have a single image, and what is taken off in the place of a mean; one line.

    Args:
        names: of these cameras, at least one, as they are shown.
        others: cameras that have more.
        image: what one is called.
    """
    more = ', ...' if len(names) > _LISTED else ''
    mean = "the mean over the other cameras' means" if others else 'the mean over them'
    return (
        f'cameras with a single {image}, which makes no mean ({len(names)} of {len(names) + others}): '
        f'{", ".join(names[:_LISTED])}{more}: {mean} is taken off'
    )


def _say_unknown(engine, means: CameraMeans) -> None:
    """Says which images to test on have a camera that no training image is of."""
    for name, parts in engine.test_loader.items():
        camids = [item[2] for loader in parts.values() for item in loader.dataset.data]
        others = sum(camera not in means.means and camera not in means.lone for camera in camids)
        if others:
            print(
                f'* {name}: {others} of {len(camids)} images are of cameras without a training image: the mean '
                "over the cameras' means is taken off them"
            )
