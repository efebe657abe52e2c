"""Descriptors of crops: read, transformed and shown to the model in batches, in the order given."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ..runtime.errors import UserError
from .images import read_image


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


@torch.no_grad()
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
    device = next(model.parameters()).device
    loader = DataLoader(
        ImageFiles(paths, transform), batch_size=batch_size, num_workers=workers, generator=torch.Generator()
    )
    for images in loader:
        descriptors = model(images.to(device, non_blocking=True)).float().cpu()
        if not descriptors.isfinite().all():
            raise UserError(
                "the model's descriptors are not finite: its training has failed, take an earlier checkpoint"
            )
        yield descriptors
