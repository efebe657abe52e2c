"""Surrogate positives: a randomly transformed copy stands in for an image's unknown positive.

Yang et al., CVPR 2019, section 3.3:
https://openaccess.thecvf.com/content_CVPR_2019/html/Yang_Patch-Based_Discriminative_Feature_Learning_for_Unsupervised_Person_Re-Identification_CVPR_2019_paper.html
"""

from collections.abc import Callable, Collection

import torch
from PIL import Image
from torchvision import transforms as T

from ..runtime.choices import TRANSFORMATIONS


class SurrogatePositive:
    """Draws the surrogate of an image (paper, section 3.3): one transformation, chosen at random.

    A crop of part of the area scaled back, a rotation, or a change of brightness, of contrast, of saturation
    (crop, rotation and colour are equally likely). torchvision's transforms do the work.

    Args:
        crop: smallest and largest share of the area that is kept, in (0, 1].
        rotation: largest angle, in degrees.
        jitter: largest relative change of brightness, contrast or saturation, in [0, 1].
        hue: largest shift of the hue as a share of the circle, in [0, 0.5]; with `sequence` only.
        sequence: apply all of them, colour, rotation, crop, as the release does, instead of one.
        transforms: which of TRANSFORMATIONS there are, for the ablation; with none the surrogate is the image itself.

    Raises:
        ValueError: for an argument out of range.

    Example:
        >>> surrogate = SurrogatePositive()(Image.open('0002_c1s1_000451_03.jpg'))
    """

    def __init__(
        self,
        crop: tuple[float, float] = (0.7, 0.95),
        rotation: float = 10.0,
        jitter: float = 0.2,
        hue: float = 0.0,
        sequence: bool = False,
        transforms: Collection[str] = TRANSFORMATIONS,
    ) -> None:
        if not 0 < crop[0] <= crop[1] <= 1:
            raise ValueError(f'SurrogatePositive: crop must be 0 < low <= high <= 1, got {crop}')
        for name, value, limit in (('rotation', rotation, 180), ('jitter', jitter, 1), ('hue', hue, 0.5)):
            if not 0 <= value <= limit:
                raise ValueError(f'SurrogatePositive: {name} must be 0 to {limit}, got {value}')
        if hue > 0 and not sequence:
            raise ValueError(f'SurrogatePositive: hue is changed with sequence=True only, got {hue}')
        unknown = [name for name in transforms if name not in TRANSFORMATIONS]
        if unknown:
            raise ValueError(f'SurrogatePositive: transforms must be of {TRANSFORMATIONS}, got {unknown[0]!r}')
        self.crop = tuple(crop)
        rotate = T.RandomRotation(rotation, interpolation=T.InterpolationMode.BILINEAR)
        if sequence:
            steps = {'colour': T.ColorJitter(jitter, jitter, jitter, hue), 'rotation': rotate, 'crop': self._crop}
        else:
            colours = [T.ColorJitter(**{name: jitter}) for name in ('brightness', 'contrast', 'saturation')]
            steps = {'crop': self._crop, 'rotation': rotate, 'colour': T.RandomChoice(colours)}
        steps = [step for name, step in steps.items() if name in transforms]
        self.transform = T.Compose(steps) if sequence or not steps else T.RandomChoice(steps)

    def _crop(self, image: Image.Image) -> Image.Image:
        width, height = image.size
        # The person's shape stays: the crop keeps the image's own aspect ratio.
        resized = T.RandomResizedCrop((height, width), scale=self.crop, ratio=(width / height, width / height))
        return resized(image)

    def __call__(self, image: Image.Image) -> Image.Image:
        """A PIL image -> its surrogate, a PIL image of the same size."""
        return self.transform(image)


class PairTransform:
    """Turns one image into `[image, surrogate]`, both ready for the network.

    The augmentation of the PIL image is shared, so that the two differ by the surrogate's transformation; what
    follows `ToTensor` is applied to each.

    Args:
        image_stage: PIL image -> PIL image.
        tensor_stage: PIL image -> tensor (3, H, W).
        surrogate: PIL image -> PIL image.
    """

    def __init__(self, image_stage: Callable, tensor_stage: Callable, surrogate: Callable) -> None:
        self.image_stage = image_stage
        self.tensor_stage = tensor_stage
        self.surrogate = surrogate

    def single(self, image: Image.Image) -> torch.Tensor:
        """The real image alone, for filling the memory bank."""
        return self.tensor_stage(self.image_stage(image))

    def __call__(self, image: Image.Image) -> list[torch.Tensor]:
        image = self.image_stage(image)
        return [self.tensor_stage(image), self.tensor_stage(self.surrogate(image))]
