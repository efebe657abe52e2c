"""One step and one test by several processes: what of an engine is wrapped, gathered and split."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from ..host.engine import unwrap
from ..host.progress import bar
from ..runtime import processes, stopping
from ..runtime.places import places_of


class NoWriter:
    """Stands for TensorBoard's writer in all processes but the first."""

    def add_scalar(self, *args) -> None:
        pass

    def close(self) -> None:
        pass


class SplitTest:
    """A test loader whose batches are read, and turned into descriptors, by the processes in turn.

    The batches are those of one process, so the descriptors are the same to the bit, and they come in its order.

    Args:
        loader: torchreid's, of query or gallery.
        extract: images and their cameras -> descriptors, (b, 3, H, W) and b numbers -> (b, D).
        by_camera: describe batches of one camera each, all of them before the first is given: for an `extract` that
            has a network for each camera, which would get a few images at a time otherwise.
    """

    def __init__(
        self, loader: DataLoader, extract: Callable[[Tensor, list[int]], Tensor], by_camera: bool = False
    ) -> None:
        self.loader = loader
        self.extract = extract
        self.by_camera = by_camera

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[dict]:
        """Gives every batch to every process, with descriptors in the place of images."""
        batches = list(self.loader.batch_sampler)
        if not self.by_camera:
            yield from (self._given(batch, rows) for batch, rows in self._described(batches))
            return
        of_cameras, all_rows = self._batches_of_cameras(), None
        for batch, rows in bar(self._described(of_cameras), 'by camera', ' batches', len(of_cameras)):
            all_rows = rows.new_empty(len(self.loader.dataset), rows.shape[1]) if all_rows is None else all_rows
            all_rows[batch] = rows
        yield from (self._given(batch, all_rows[batch]) for batch in batches)

    def _batches_of_cameras(self) -> list[list[int]]:
        places = places_of(item[2] for item in self.loader.dataset.data)
        size = self.loader.batch_size
        return [own[first : first + size] for own in places.values() for first in range(0, len(own), size)]

    def _described(self, batches: list[list[int]]) -> Iterator[tuple[list[int], Tensor]]:
        """Every batch and its descriptors."""
        world, rank = processes.world_size(), processes.rank()
        firsts = range(0, len(batches), world)
        own = DataLoader(
            self.loader.dataset,
            # In the last round there may be none left: a repeated one keeps step and is not sent.
            batch_sampler=[batches[min(first + rank, len(batches) - 1)] for first in firsts],
            num_workers=self.loader.num_workers,
            pin_memory=self.loader.pin_memory,
            generator=torch.Generator(),
        )
        for first, data in zip(firsts, own, strict=True):
            stopping.check_together()
            descriptors = self.extract(data['img'], data['camid'].tolist())
            if first + rank >= len(batches):
                descriptors = descriptors[:0]
            parts = processes.gather_parts(descriptors, self.loader.batch_size)
            yield from zip(batches[first : first + world], parts, strict=False)

    def _given(self, batch: list[int], rows: Tensor) -> dict:
        items = [self.loader.dataset.data[index] for index in batch]
        pids, camids = (torch.tensor([item[place] for item in items]) for place in (1, 2))
        return {'img': rows, 'pid': pids, 'camid': camids}


def wrapped(model: nn.Module, use_gpu: bool, every_parameter_used: bool) -> nn.Module:
    """What a step trains: the model, with several processes such that its gradients are averaged over them.

    Args:
        model: the engine's, whose layers are open or frozen as the epoch has them.
        use_gpu: of the engine.
        every_parameter_used: by the loss, of those that are trained; it saves a search in each step.
    """
    if processes.world_size() == 1:
        return model
    return DistributedDataParallel(
        model,
        device_ids=[torch.cuda.current_device()] if use_gpu else None,
        find_unused_parameters=not every_parameter_used,
    )


def whole_batch(outputs, targets: Tensor) -> tuple:
    """Outputs, one or a list, and targets of all processes, for a loss that is the whole batch's on each."""
    if processes.world_size() == 1:
        return outputs, targets
    listed = isinstance(outputs, (list, tuple))
    outputs = [processes.gather_with_grad(output) for output in (outputs if listed else [outputs])]
    return (outputs if listed else outputs[0]), processes.gather(targets)


@contextmanager
def split_tests(engine) -> Iterator[None]:
    """Within it each of several processes describes a share of a test's batches; with one nothing changes.

    torchreid's loop over a loader cannot be divided, so the loaders are: SplitTest has the descriptors of all, and
    gives them in the place of images. One process does so where images are described by the norms of their cameras.
    """
    by_camera = engine.in_test.norms is not None
    if processes.world_size() == 1 and not by_camera:
        yield
        return
    loaders = engine.test_loader
    processes.copy_buffers(unwrap(engine.model))
    engine.test_loader = {
        name: {part: SplitTest(loader, engine.in_test.describe, by_camera) for part, loader in parts.items()}
        for name, parts in loaders.items()
    }
    try:
        yield
    finally:
        engine.test_loader = loaders
