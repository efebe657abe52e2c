"""What PEDAL compares, and the memory bank keeps, of an image: its patches, or for the ablation the whole image."""

from torch import Tensor
from torch.nn import functional as F


def by_patch(features: Tensor) -> Tensor:
    """The paper's (section 3.2): each of the M patches by itself.

    Args:
        features: (B, M, D), L2-normalised per patch.

    Returns:
        The same.
    """
    return features


def by_image(features: Tensor) -> Tensor:
    """The ablation's: the patch features one after the other, as the one feature of the image.

    Args:
        features: (B, M, D), L2-normalised per patch.

    Returns:
        (B, 1, M * D), L2-normalised, so that PEDAL's scale s means the same.

    Example:
        >>> by_image(torch.nn.functional.normalize(torch.randn(8, 6, 256), dim=2)).shape
        torch.Size([8, 1, 1536])
    """
    return F.normalize(features.flatten(1), dim=1).unsqueeze(1)


SIMILARITIES = {'patch': by_patch, 'image': by_image}
