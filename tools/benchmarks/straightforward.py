"""The straightforward implementation of the paper's formulas, which ours is measured against."""

import torch
from torch import Tensor
from torch.nn import functional as F

from .sizes import MARGIN, K, R, S


def plain_pooling(features: Tensor, theta: Tensor) -> Tensor:
    """Samples the feature map of each patch and averages it; the arguments are those of `pool_patches`."""
    patches = []
    for m in range(theta.shape[1]):
        grid = F.affine_grid(theta[:, m], list(features.shape), align_corners=True)
        patches.append(F.grid_sample(features, grid, align_corners=True).mean((2, 3)))
    return torch.stack(patches, 1)


class PlainMemory:
    """A list of rows for each patch, restacked in each step.

    Args:
        bank: (M, N, D).
    """

    def __init__(self, bank: Tensor) -> None:
        self.rows = [list(patch) for patch in bank]

    def update(self, rows: Tensor, features: Tensor) -> list[Tensor]:
        """Moves the images' rows towards their new features; returns the (N, D) bank of each patch."""
        for m, patch in enumerate(self.rows):
            for i, row in enumerate(rows.tolist()):
                patch[row] = 0.9 * patch[row] + 0.1 * features[i, m].detach()
        return [torch.stack(patch) for patch in self.rows]


def plain_pedal(features: Tensor, bank: list[Tensor], rows: Tensor) -> Tensor:
    """PEDAL of (B, M, D) features against the (N, D) bank of each patch: each image's distances, sorted."""
    total = 0
    for m, patch in enumerate(bank):
        for i, row in enumerate(rows.tolist()):
            squared = (patch - features[i, m]).pow(2).sum(1)
            others = torch.cat([squared[:row], squared[row + 1 :]])
            logits = -S / 2 * others.sort().values
            total = total + logits.logsumexp(0) - logits[:K].logsumexp(0)
    return total / (len(rows) * len(bank))


def plain_ipfl(anchors: Tensor, positives: Tensor) -> Tensor:
    """The walk of the paper: each anchor sorts the others, and so does each candidate that it meets."""

    def others(i: int) -> list[int]:
        return [j for j in (anchors - anchors[i]).norm(dim=1).argsort().tolist() if j != i]

    terms = []
    for i in range(len(anchors)):
        for j in others(i):
            if i not in others(j)[:R]:
                to_positive, to_negative = (anchors[i] - positives[i]).norm(), (anchors[i] - anchors[j]).norm()
                terms.append((MARGIN + to_positive - to_negative).clamp(min=0))
                break
    return torch.stack(terms).mean() if terms else anchors.sum() * 0
