"""The k nearest of each of many crops, compared a block at a time, each two crops once."""

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from ..run.trained import Trained

_ROWS = 256  # whose distances are held at a time: as many times N numbers


class _Blocks:
    """Distances between crops as `distances` gives them, to the bit, with what all blocks need made once."""

    def __init__(self, trained: Trained, descriptors: Tensor) -> None:
        self.cosine = trained.cfg.test.dist_metric == 'cosine'
        rows = trained.normalised(descriptors)
        self.rows = F.normalize(rows, p=2, dim=1) if self.cosine else rows
        parts = () if self.cosine else self.rows.split(65536)
        self.squares = torch.cat([part.pow(2).sum(1) for part in parts]) if parts else None

    def of(self, start: int, stop: int) -> Tensor:
        """Of the crops of a block and all from its first one on: (stop - start, N - start)."""
        own, others = self.rows[start:stop], self.rows[start:]
        if self.squares is None:
            return 1 - own @ others.t()
        both = self.squares[start:stop, None] + self.squares[start:]
        return both.addmm_(own, others.t(), beta=1, alpha=-2)


def nearest(trained: Trained, descriptors: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest of each crop by the distance of the run's test, without the crop itself.

    Memory grows with N, time with its square.

    Args:
        trained: the model.
        descriptors: (N, E).
        k: at least 0, below N.

    Returns:
        (N, k) distances, the smallest first, and (N, k) int64, whose they are.
    """
    total = len(descriptors)
    blocks = _Blocks(trained, descriptors)
    found = torch.full((total, k), torch.inf), torch.zeros((total, k), dtype=torch.int64)
    if not k:
        return found
    with tqdm(total=total * total, desc='Comparing crops', unit=' pairs', unit_scale=True, delay=2, leave=False) as bar:
        for start in range(0, total, _ROWS):
            stop = min(start + _ROWS, total)
            block = blocks.of(start, stop)
            block.fill_diagonal_(torch.inf)
            _keep(found, torch.arange(start, stop), block, start)
            later = block[:, stop - start :]
            # A crop after the block is compared with it here, and not again: most have nearer ones by then.
            nearer = (later < found[0][stop:, -1]).any(0).nonzero()[:, 0]
            _keep(found, stop + nearer, later[:, nearer].t(), start)
            bar.update((stop - start) * (2 * (total - start) - (stop - start)))
    return found


def _keep(found: tuple[Tensor, Tensor], rows: Tensor, matrix: Tensor, first: int) -> None:
    """Keeps the k smallest of what was found for some rows and of their distances, (rows, n), to `first` and on."""
    values, places = found
    near = matrix.topk(min(values.shape[1], matrix.shape[1]), largest=False)
    both = torch.cat([values[rows], near.values], 1), torch.cat([places[rows], near.indices + first], 1)
    best = both[0].topk(values.shape[1], largest=False)
    values[rows] = best.values
    places[rows] = both[1].gather(1, best.indices)
