"""Descriptors of crops: read, transformed and shown to the model in batches, in the order given."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ..method.folding import Describing
from ..runtime.errors import UserError
from .ahead import ahead
from .images import read_image

WORTH = 16  # images from which on it pays to make a copy of the model that describes them faster


class ImageFiles(Dataset):
    """Images by path, as the network takes them.

    Args:
        paths: the files.
        transform: PIL image -> (3, H, W).
    """

    def __init__(self, paths: Sequence[str], transform: Callable) -> None:
        self.paths = list(paths)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(read_image(self.paths[index]))


_entering = threading.Lock()
_modes: dict[int, tuple[int, list[tuple[nn.Module, bool]]]] = {}  # of a model: how many are in it, its modules' modes


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Within it a model is in eval mode; each of its modules then gets its own mode back.

    Several threads may be in it for one model: the first makes the mode, the last gives the modes back.
    """
    key = id(model)
    with _entering:
        inside, modes = _modes.get(key) or (0, [(module, module.training) for module in model.modules()])
        _modes[key] = inside + 1, modes
        model.eval()
    try:
        yield
    finally:
        with _entering:
            inside, modes = _modes.pop(key)
            if inside > 1:
                _modes[key] = inside - 1, modes
            else:
                for module, mode in modes:
                    module.training = mode


def describe(
    model: nn.Module, paths: Sequence[str], transform: Callable, batch_size: int = 64, workers: int = 0
) -> Iterator[Tensor]:
    """Descriptors of images, batch by batch.

    Args:
        model: in eval mode; (b, 3, H, W) -> (b, E).
        paths: N files.
        transform: PIL image -> (3, H, W).
        batch_size: images at a time.
        workers: processes that read images, 0 for none but this one.

    Yields:
        (b, E), float32, on the CPU; together N rows in the order of the paths.

    Raises:
        BadImage: for a file that is no image or cannot be read.
        UserError: for a model whose descriptors are not finite.

    Example:
        >>> torch.cat(list(describe(trained.model, paths, trained.transform()))).shape
        torch.Size([64, 1536])
    """
    yield from describe_images(model, ImageFiles(paths, transform), batch_size, workers)


@torch.no_grad()
def describe_images(model: nn.Module, images: Dataset, batch_size: int = 64, workers: int = 0) -> Iterator[Tensor]:
    """`describe` for images of any source: a data set or list of N tensors, (3, H, W) each.

    Without workers the next batch is read in a thread, beside the network.
    """
    device = next(model.parameters()).device
    # A generator of its own: torch's would be drawn from, and the run go on with other random numbers.
    loader = DataLoader(images, batch_size=batch_size, num_workers=workers, generator=torch.Generator())
    network = Describing(model) if len(loader.dataset) >= WORTH else model
    for batch in loader if workers or len(loader) < 2 else ahead(loader):
        descriptors = network(batch.to(device, non_blocking=True)).float().cpu()
        if not descriptors.isfinite().all():
            raise UserError(
                "the model's descriptors are not finite: its training has failed, take an earlier checkpoint"
            )
        yield descriptors
