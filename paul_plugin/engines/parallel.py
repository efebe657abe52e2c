"""Makes a step of a torchreid engine that of the whole batch of all processes, and splits a test over them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter

from ..host.engine import HostFixes, unwrap
from ..method.folding import Describing
from ..runtime import processes, stopping


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
        extract: images -> descriptors, (b, 3, H, W) -> (b, D).
    """

    def __init__(self, loader: DataLoader, extract: Callable[[Tensor], Tensor]) -> None:
        self.loader = loader
        self.extract = extract

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[dict]:
        """Gives every batch to every process, with descriptors in the place of images."""
        batches = list(self.loader.batch_sampler)
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
            descriptors = self.extract(data['img'])
            if first + rank >= len(batches):
                descriptors = descriptors[:0]
            parts = processes.gather_parts(descriptors, self.loader.batch_size)
            for batch, part in zip(batches[first : first + world], parts, strict=False):
                items = [self.loader.dataset.data[index] for index in batch]
                pids, camids = (torch.tensor([item[place] for item in items]) for place in (1, 2))
                yield {'img': part, 'pid': pids, 'camid': camids}


class DistributedEngine(HostFixes):
    """Mixin for torchreid's engines; put it first. With one process it changes nothing.

    Each process has its share of a batch; losses are those of the whole batch, and the model's gradients are averaged
    by DistributedDataParallel. BatchNorm's statistics are the whole batch's on GPUs, where the model has
    SyncBatchNorm, and those of a process' share on CPUs, which torch has no SyncBatchNorm for.
    """

    every_parameter_used = False  # by the loss, of those that are trained; True saves a search in each step

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.network: nn.Module | None = None  # the model as a step trains it, of this epoch
        self.given_descriptors = False
        self.describing: Describing | None = None  # the model, in a test

    def wrap_network(self) -> nn.Module:
        """What a step trains: the model, with several processes such that its gradients are averaged over them.

        It is made in each epoch, after torchreid has opened and frozen layers: only then is known what is trained.
        """
        if processes.world_size() == 1:
            return self.model
        return DistributedDataParallel(
            self.model,
            device_ids=[torch.cuda.current_device()] if self.use_gpu else None,
            find_unused_parameters=not self.every_parameter_used,
        )

    @contextmanager
    def network_as_model(self) -> Iterator[None]:
        """Within it `self.model` is the network, for a step of torchreid's own, which knows no other name."""
        model, self.model = self.model, self.network
        try:
            yield
        finally:
            self.model = model

    def compute_loss(self, criterion: nn.Module, outputs, targets: Tensor) -> Tensor:
        """torchreid's losses, of the whole batch on every process."""
        if processes.world_size() > 1:
            listed = isinstance(outputs, (list, tuple))
            outputs = [processes.gather_with_grad(output) for output in (outputs if listed else [outputs])]
            outputs, targets = outputs if listed else outputs[0], processes.gather(targets)
        return super().compute_loss(criterion, outputs, targets)

    def open_writer(self, save_dir: str) -> None:
        """TensorBoard's writer; torchreid would open one in each process."""
        if self.writer is None:
            self.writer = SummaryWriter(save_dir) if processes.is_first() else NoWriter()

    def extract_features(self, input: Tensor) -> Tensor:
        """Descriptors of images; in a test of several processes the loaders give descriptors, and they stay."""
        if self.given_descriptors:
            return input
        stopping.check()  # training stands still during a test
        return self._extract(input)

    def _extract(self, images: Tensor) -> Tensor:
        images = images.cuda() if self.use_gpu else images
        model = self.model
        network = model if self.describing is None else self.describing.network(images)
        if network is not unwrap(model):  # else the wrapper stays, which may spread the images over GPUs
            self.model = network
        try:
            return super().extract_features(images)
        finally:
            self.model = model

    @contextmanager
    def described_fast(self) -> Iterator[None]:
        """Within it, where no weight changes, the engine describes by the copy that is the faster one on a CPU."""
        before, self.describing = self.describing, Describing(unwrap(self.model))
        try:
            yield
        finally:
            self.describing = before

    def test(self, *args, **kwargs) -> float:
        """torchreid's test. With several processes each extracts a share of the batches.

        torchreid's loop over a loader cannot be divided, so the loaders are: SplitTest has the descriptors of all, and
        gives them in the place of images.
        """
        loaders = self.test_loader
        if processes.world_size() > 1:
            processes.copy_buffers(unwrap(self.model))
            self.test_loader = {
                name: {part: SplitTest(loader, self._extract) for part, loader in parts.items()}
                for name, parts in loaders.items()
            }
            self.given_descriptors = True
        try:
            with torch.no_grad(), self.described_fast(), stopping.instead_of_errors():
                return super().test(*args, **kwargs)
        finally:
            self.test_loader = loaders
            self.given_descriptors = False
