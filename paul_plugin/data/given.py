"""Images as a program gives them: files, PIL images or arrays, read as the crops of a data set are."""

import os
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from ..runtime.errors import UserError, show
from .images import read_image, to_crop

Given: TypeAlias = str | os.PathLike[str] | Image.Image | NDArray[np.uint8]


class GivenImages(Dataset[Tensor]):
    """Images of any of these kinds, as the network takes them.

    Args:
        images: N of them; one file, one PIL image or one array (H, W, 3) alone stands for a list of one.
        transform: PIL image -> (3, H, W).
    """

    def __init__(self, images: Given | Sequence[Given], transform: Callable[[Image.Image], Tensor]) -> None:
        alone = isinstance(images, (str, os.PathLike, Image.Image)) or getattr(images, 'ndim', 0) == 3
        self.images: list[Given] = [images] if alone else list(images)  # type: ignore[list-item, arg-type]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(as_rgb(self.images[index], index))


def as_rgb(image: Given, index: int = 0) -> Image.Image:
    """One of these images in RGB, upright; what is given stays as it is.

    Args:
        image: a file, a PIL image, or an array (H, W, 3) of uint8 in the order red, green, blue.
        index: its place among others, for the message.

    Raises:
        BadImage: for a file, or a PIL image, that cannot be read or is no crop of a person by its size.
        UserError: for anything else.
    """
    if isinstance(image, (str, os.PathLike)):
        return read_image(os.fspath(image))
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        image = Image.fromarray(np.ascontiguousarray(image))
    if isinstance(image, Image.Image):
        return to_crop(image, f'number {index}')
    what = type(image).__name__
    if hasattr(image, 'shape') and hasattr(image, 'dtype'):
        what += f' of {image.dtype} and shape {tuple(image.shape)}'
    raise UserError(
        f'image number {index} is a {show(what)[1:-1]}: give a path, a PIL image, or a NumPy array of uint8 and shape '
        '(height, width, 3), red first'
    )
