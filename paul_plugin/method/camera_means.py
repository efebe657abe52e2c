"""Camera centring: the mean descriptor of a camera is taken off its descriptors; a baseline without training.

Beside the paper. What all crops of a camera share, its light and its background, tells nobody from another, but makes
crops of one camera alike.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence

import torch
from torch import Tensor


def without_camera_means(descriptors: Tensor, cameras: Tensor) -> Tensor:
    """Subtracts each camera's mean, of these very descriptors.

    Args:
        descriptors: (N, ...).
        cameras: (N,), int64.

    Returns:
        (N, ...), a copy; a camera's only descriptor stays, as it is its mean and nothing would be left of it.
    """
    centred = descriptors.clone()
    for camera in cameras.unique():
        own = cameras == camera
        if own.sum() > 1:
            centred[own] -= centred[own].mean(0)
    return centred


class CameraMeans:
    """The mean descriptor of each camera.

    Args:
        means: camera, by number or name -> (E,).
        lone: the same of cameras with a single descriptor. It is no mean: less itself, nothing would be left of it.

    Attributes:
        means, lone: the same.
        overall: (E,), the mean over `means`, each counted once; it stands for a camera that is not among them, a lone
            one as well. Where all cameras are lone, it is the mean over these.

    Raises:
        ValueError: without a camera.

    Example:
        >>> means = CameraMeans.of([(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), ['gate', 'gate'])])
        >>> means.centred(torch.tensor([[2.0, 2.0]]), ['gate'])
        tensor([[ 0., -1.]])
    """

    def __init__(self, means: Mapping[Hashable, Tensor], lone: Mapping[Hashable, Tensor] | None = None) -> None:
        if not means and not lone:
            raise ValueError('CameraMeans: no camera')
        self.means, self.lone = dict(means), dict(lone or {})
        self.overall = torch.stack([*(self.means or self.lone).values()]).mean(0)

    @classmethod
    def of(cls, blocks: Iterable[tuple[Tensor, Sequence[Hashable]]]) -> 'CameraMeans':
        """The means of descriptors, summed in float64; one block is held at a time.

        Args:
            blocks: (n, E) each, and the n cameras.
        """
        sums, counts = {}, {}
        for descriptors, cameras in blocks:
            for camera in sorted(set(cameras)):
                places = [place for place, other in enumerate(cameras) if other == camera]
                sums[camera] = sums.get(camera, 0) + descriptors[places].double().sum(0).cpu()
                counts[camera] = counts.get(camera, 0) + len(places)
        lone = {camera: sums[camera] for camera in sums if counts[camera] == 1}
        return cls({camera: sums[camera] / counts[camera] for camera in sums if camera not in lone}, lone)

    def centred(self, descriptors: Tensor, cameras: Sequence[Hashable]) -> Tensor:
        """Takes off each descriptor the mean of its camera, or `overall`: (B, E) and B cameras -> (B, E)."""
        rows = {camera: row for row, camera in enumerate(self.means)}
        table = torch.stack([*self.means.values(), self.overall]).to(descriptors)
        return descriptors - table[[rows.get(camera, -1) for camera in cameras]]
