"""The picture of the learned patches: M boxes on an image and what lies in them, the paper's Figure 6."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms.functional import to_pil_image, to_tensor

from ..data.images import read_image
from .sheet import GREY, WHITE, Cell, Colour, Heading, palette, sheet, to_height

_EDGE = 6  # pixels around an image: a patch may lie partly outside
_FINE = 3  # lines are drawn so many times larger, then scaled down: PIL's own are jagged


def corners(theta: Tensor, width: int, height: int) -> Tensor:
    """Corners of patches, as they are sampled from an image (`align_corners=True`).

    Args:
        theta: (..., 2, 3), affine transformations, patch to image.
        width, height: of the image, in pixels.

    Returns:
        (..., 4, 2), x and y in pixels, 0 the centre of the first pixel: upper left, upper right, lower right and
        lower left corner of the patch, which lie elsewhere where it is rotated.

    Example:
        >>> corners(torch.tensor([[1.0, 0, 0], [0, 0.5, 0]]), 49, 97)[0]
        tensor([ 0., 24.])
    """
    square = theta.new_tensor([[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]])
    sides = theta.new_tensor([width - 1, height - 1])
    return (square @ theta.transpose(-1, -2) + 1) / 2 * sides


def crop(image: Tensor, theta: Tensor, outside: float = 0.5) -> Tensor:
    """What a patch samples of an image, as many pixels as the sides of its box are long.

    Args:
        image: (3, H, W).
        theta: (2, 3), affine transformation, patch to image.
        outside: value where the patch lies outside of the image.

    Returns:
        (3, h, w); a box longer than twice the image is sampled more coarsely.
    """
    height, width = image.shape[1:]
    sides = theta.new_tensor([width - 1, height - 1])
    lengths = (theta[:, :2] * sides[:, None]).norm(dim=0).tolist()
    size = [min(round(length), 2 * max(height, width)) + 1 for length in lengths]
    grid = F.affine_grid(theta[None].to(image), [1, 3, *reversed(size)], align_corners=True)
    return F.grid_sample(image[None] - outside, grid, align_corners=True)[0] + outside


@torch.no_grad()
def thetas(model: nn.Module, transform: Callable, paths: Sequence[str], batch_size: int = 64) -> Tensor:
    """Where the patches of images lie.

    Args:
        model: a PatchNet in eval mode.
        transform: PIL image -> (3, H, W).
        paths: B files.

    Returns:
        (B, M, 2, 3), float32, on the CPU.
    """
    like = next(model.parameters())
    found = []
    for start in range(0, len(paths), batch_size):
        images = torch.stack([transform(read_image(path)) for path in paths[start : start + batch_size]])
        found.append(model.pgn(model.backbone.featuremaps(images.to(like))).float().cpu())
    return torch.cat(found)


def outlined(
    image: Image.Image, boxes: Iterable[tuple[Tensor, Colour]], width: float = 2.5, fade: bool = False
) -> Image.Image:
    """An image with patches drawn on it, and a grey edge around it, where patches that lie outside are cut.

    Args:
        image: of the size to be shown.
        boxes: (2, 3) theta and the colour of each patch.
        width: of the lines, in pixels.
        fade: make what lies in no patch pale.
    """
    shown = Image.new('RGB', (image.width + 2 * _EDGE, image.height + 2 * _EDGE), GREY)
    shown.paste(image, (_EDGE, _EDGE))
    polygons = []
    for theta, colour in boxes:
        points = (corners(theta, image.width, image.height) + _EDGE + 0.5).clamp(-9999, 9999) * _FINE
        polygons.append(([tuple(point) for point in points.tolist()], colour))
    if fade:
        inside = _smooth(shown.size, lambda draw: [draw.polygon(points, fill=255) for points, _ in polygons])
        shown = Image.composite(shown, Image.blend(shown, Image.new('RGB', shown.size, WHITE), 0.65), inside)
    for points, colour in polygons:
        line = {'xy': [*points, *points[:2]], 'width': round(width * _FINE), 'joint': 'curve', 'fill': 255}
        shown.paste(colour, mask=_smooth(shown.size, lambda draw, line=line: draw.line(**line)))
    return shown


def _smooth(size: tuple[int, int], draw: Callable[[ImageDraw.ImageDraw], object]) -> Image.Image:
    """A mask of this size without jagged edges: drawn larger, then scaled down."""
    mask = Image.new('L', (size[0] * _FINE, size[1] * _FINE))
    draw(ImageDraw.Draw(mask))
    return mask.reduce(_FINE)


def patch_headings(count: int) -> list[Heading]:
    """`patch 1`, ..., `patch M`, in their colours."""
    return [Heading(f'patch {number}', colour) for number, colour in enumerate(palette(count), 1)]


class Patches(NamedTuple):
    """Where a model looks at images.

    Attributes:
        paths: B files.
        thetas: (B, M, 2, 3), affine transformations, patch to image.
        learned: whether the model learned them.
    """

    paths: Sequence[str]
    thetas: Tensor
    learned: bool


def find_patches(model: nn.Module, transform: Callable, paths: Sequence[str]) -> Patches:
    """The model's patches of images.

    Args:
        model: a PatchNet in eval mode.
        transform: PIL image -> (3, H, W).
        paths: the images, at least one.

    Raises:
        BadImage: for a file that cannot be read.
    """
    return Patches(paths, thetas(model, transform, paths), learned=bool(list(model.pgn.parameters())))


def draw_patches(found: Patches, pixels: int = 192) -> Image.Image:
    """Images with the M patches drawn on them, and under each image what lies in them, in a row a patch.

    The network samples its feature map; the same transformations are applied to the image here, as in the paper.

    Args:
        found: the patches.
        pixels: height of an image in the picture.

    Raises:
        BadImage: for a file that cannot be read.
    """
    count = found.thetas.shape[1]
    colours = palette(count)
    columns = []
    for path, thetas_of_image in zip(found.paths, found.thetas, strict=True):
        image = to_height(read_image(path), pixels)
        crops = [crop(to_tensor(image), theta, GREY[0] / 255).clamp(0, 1) for theta in thetas_of_image]
        cells = [Cell(outlined(image, zip(thetas_of_image, colours)))]
        for each, colour in zip(map(to_pil_image, crops), colours):
            each.thumbnail((pixels, pixels))  # a box may be larger than the image
            cells.append(Cell(each, frame=colour))
        columns.append(cells)
    return sheet(
        f'The {count} {"learned" if found.learned else "fixed"} patches of an image',
        'Above, the boxes in which the model looks at each image; below, in the same colours, what lies in them. '
        'Light grey is outside of the image.',
        list(zip(*columns)),
        row_headings=[Heading(), *patch_headings(count)],
    )
