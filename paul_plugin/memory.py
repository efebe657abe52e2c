"""Patch memory bank: one running-average feature for each patch of each training image."""

import torch
from torch import Tensor, nn


class PatchMemory(nn.Module):
    """Patch feature memory bank W (paper, section 3.2).

    Row i belongs to training image i. A first visit stores the image's features, a later one moves the row:
    `w <- (1 - momentum) * w + momentum * x`; rows are never re-normalised. Everything is a buffer, so the bank
    is moved, saved and loaded like any module.

    Args:
        num_images: N, the number of training images.
        num_patches: M.
        dim: D, the length of a patch feature.
        momentum: l, the share of the new feature in a later visit, in (0, 1].
        dtype: the bank's storage type; updates are computed in float32 or wider.

    Raises:
        ValueError: for an argument out of range.

    Example:
        >>> memory = PatchMemory(num_images=100, num_patches=6, dim=256)
        >>> memory.update(torch.tensor([3, 7]), torch.randn(2, 6, 256))
        >>> memory.filled.sum()
        tensor(2)
    """

    def __init__(
        self, num_images: int, num_patches: int, dim: int, momentum: float = 0.1, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        for name, value in (('num_images', num_images), ('num_patches', num_patches), ('dim', dim)):
            if value < 1:
                raise ValueError(f'PatchMemory: {name} must be at least 1, got {value}')
        if not 0 < momentum <= 1:
            raise ValueError(f'PatchMemory: momentum must be in (0, 1], got {momentum}')
        self.momentum = momentum
        self.register_buffer('bank', torch.zeros(num_patches, num_images, dim, dtype=dtype))
        self.register_buffer('filled', torch.zeros(num_images, dtype=torch.bool))

    @torch.no_grad()
    def update(self, rows: Tensor, features: Tensor) -> None:
        """Stores or moves the rows of one batch of real images.

        Args:
            rows: (B,) int64, distinct.
            features: (B, M, D).
        """
        old = self.bank[:, rows]
        new = features.detach().transpose(0, 1)
        wide = torch.promote_types(torch.promote_types(old.dtype, new.dtype), torch.float32)
        old, new = old.to(wide), new.to(wide)
        moved = (1 - self.momentum) * old + self.momentum * new
        stored = torch.where(self.filled[rows][:, None], moved, new)
        self.bank.index_copy_(1, rows, stored.to(self.bank.dtype))
        self.filled[rows] = True

    def extra_repr(self) -> str:
        patches, images, dim = self.bank.shape
        return f'num_images={images}, num_patches={patches}, dim={dim}, momentum={self.momentum}'
