"""The loaders of training images: order and augmentation are functions of the seed, the epoch and the place in it."""

import copy
import itertools
import signal
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ..host.data import DataManager
from ..method.surrogate import PairTransform
from ..runtime import processes
from ..runtime.randomness import AUGMENTATION, FILL, FILL_ORDER, ORDER, seeded

SECONDS_TO_STOP = 10  # that a worker lives after SIGTERM


class SeededImages(Dataset):
    """A data set whose augmentation of an image depends on the seed, the epoch and the image's place in it alone.

    So it is the same in any process, whatever the number of workers, and again after a restart.

    Args:
        dataset: index -> item.
        seed: at least 0.
        purpose: tells the random numbers of one use of the data set from those of another.
    """

    def __init__(self, dataset: Dataset, seed: int, purpose: int = AUGMENTATION) -> None:
        self.dataset = dataset
        self.seed = seed
        self.purpose = purpose

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: tuple[int, int, int]) -> dict:
        """(epoch, place in the epoch, index) -> the item at that index, which is told as its `row`."""
        epoch, place, index = key
        with seeded(self.seed, self.purpose, epoch, place):
            return {**self.dataset[index], 'row': index}


class EpochOrder(Sampler):
    """An epoch's order as a function of the seed and the epoch, from any batch on.

    Of several processes, each gets its share of every whole batch, in rank order; the images of an incomplete last
    batch are left out.

    Args:
        sampler: torchreid's, which draws the order of the images.
        seed: at least 0.
        batch_size: images of a whole batch, a multiple of the number of processes.
    """

    def __init__(self, sampler: Sampler, seed: int, batch_size: int) -> None:
        self.sampler = sampler
        self.seed = seed
        self.batch_size = batch_size
        self.set_epoch(0)

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """Draws the order of an epoch, which is to be read from a batch on."""
        with seeded(self.seed, ORDER, epoch):
            order = list(self.sampler)
        keys = [(epoch, place, index) for place, index in enumerate(order)]
        own = processes.own(self.batch_size // processes.world_size())
        starts = range(first_batch * self.batch_size, len(keys) - self.batch_size + 1, self.batch_size)
        self.keys = [key for start in starts for key in keys[start : start + self.batch_size][own]]

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


def outlive_signals(worker: int) -> None:
    """The signals of a terminal reach a whole group; a worker serves on while the main process ends its step."""
    for name in ('SIGINT', 'SIGHUP'):  # the second: of a terminal that is closed, not on Windows
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(SECONDS_TO_STOP))


def stop_workers(loader: DataLoader) -> None:
    """Ends the workers that live from epoch to epoch.

    torch does it when the iterator is deleted, which a traceback that holds it puts off until the program ends.
    """
    iterator = getattr(loader, '_iterator', None)
    if iterator is not None:
        iterator._shutdown_workers()


def seeded_loader(loader: DataLoader, seed: int) -> DataLoader:
    """A loader of the same images, or this process' share, whose order and augmentation follow the seed and the epoch.

    Its workers live from epoch to epoch; `loader.sampler.set_epoch` chooses what the next iteration gives.
    """
    return DataLoader(
        SeededImages(loader.dataset, seed),
        sampler=EpochOrder(loader.sampler, seed, loader.batch_size),
        batch_size=loader.batch_size // processes.world_size(),
        num_workers=loader.num_workers,
        pin_memory=loader.pin_memory,
        drop_last=True,  # as torchreid has it
        persistent_workers=loader.num_workers > 0,
        worker_init_fn=outlive_signals,
        generator=torch.Generator(),  # of the workers' seeds: else the number of epochs would move torch's own
    )


def fill_loader(loader: DataLoader, seed: int) -> DataLoader:
    """A loader that gives every training image once, without a surrogate, in batches of nearly equal size.

    torchreid's own train loader has `drop_last=True` and would leave images out; equal batches leave no last one
    of a single image, for which BatchNorm has no statistics. Each process gets its share of every batch.
    """
    dataset = copy.copy(loader.dataset)
    if isinstance(dataset.transform, PairTransform):
        dataset.transform = dataset.transform.single
    with seeded(seed, FILL_ORDER):  # in data set order a batch would hold few people and few cameras
        order = torch.randperm(len(dataset)).tolist()
    keys = [(0, place, index) for place, index in enumerate(order)]
    batches = -(-len(keys) // loader.batch_size)
    bounds = [len(keys) * batch // batches for batch in range(batches + 1)]
    return DataLoader(
        SeededImages(dataset, seed, FILL),
        batch_sampler=[keys[start:stop][processes.share(stop - start)] for start, stop in itertools.pairwise(bounds)],
        num_workers=loader.num_workers,
        pin_memory=loader.pin_memory,
        generator=torch.Generator(),
    )


def gives_surrogates(datamanager: DataManager) -> bool:
    """Whether the training images of a data manager come in pairs, each with its surrogate."""
    return isinstance(datamanager.train_loader.dataset.transform, PairTransform)


class RestOfEpoch:
    """A loader that gives None for each step that was done before the run was resumed, then the other batches."""

    def __init__(self, done: int, loader: DataLoader) -> None:
        self.done = done
        self.loader = loader

    def __len__(self) -> int:
        return self.done + len(self.loader)

    def __iter__(self) -> Iterator[dict | None]:
        yield from [None] * self.done
        yield from self.loader
