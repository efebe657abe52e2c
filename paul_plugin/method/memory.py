"""Patch memory bank: one running-average feature for each patch of each training image.

Yang et al., CVPR 2019, section 3.2:
https://openaccess.thecvf.com/content_CVPR_2019/html/Yang_Patch-Based_Discriminative_Feature_Learning_for_Unsupervised_Person_Re-Identification_CVPR_2019_paper.html
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..runtime import processes
from .numbers import check_at_least_1
from .spans import held


class Bank(NamedTuple):
    """Rows of a memory bank as a loss reads them: all of them, those of a camera, or one process' shard of either.

    Attributes:
        rows: (M, n, D); no gradient flows into them.
        filled: (n,) bool, the rows that take part; None for all.
        first: the number that the first of `rows` has in the whole bank.
        spread: where each process holds a shard, how many rows they hold together; None where all are here.

    Example:
        >>> bank = Bank(torch.nn.functional.normalize(torch.randn(6, 100, 256), dim=2))
        >>> bank.part(60, 100).rows.shape
        torch.Size([6, 40, 256])
    """

    rows: Tensor
    filled: Tensor | None = None
    first: int = 0
    spread: int | None = None

    @property
    def sharded(self) -> bool:
        """Whether each process holds a shard: all of them then call a loss together."""
        return self.spread is not None

    @property
    def num_images(self) -> int:
        """How many rows there are, on all processes."""
        return self.rows.shape[1] if self.spread is None else self.spread

    def part(self, start: int, end: int) -> 'Bank':
        """The rows [start, end) of the whole bank; of them a shard may hold none."""
        here = held(start, end, self.first, self.rows.shape[1])
        filled = None if self.filled is None else self.filled[here]
        return Bank(self.rows[:, here], filled, self.first + here.start, end - start if self.sharded else None)


def as_bank(bank: Bank | Tensor) -> Bank:
    """A plain tensor (M, N, D) is a bank whose rows are all here, and all take part."""
    return bank if isinstance(bank, Bank) else Bank(bank)


def bank_of_cameras(bank: Bank | Tensor, num_images: int, whose: str) -> Bank:
    """`as_bank` for a loss of cameras that have so many rows in all.

    Args:
        bank: as a loss is given it.
        num_images: of all cameras.
        whose: the loss, for the message.

    Raises:
        ValueError: if the bank has other rows.
    """
    bank = as_bank(bank)
    if bank.num_images != num_images:
        raise ValueError(f'{whose}: cameras of {num_images} rows in all, a bank of {bank.num_images}')
    return bank


class PatchMemory(nn.Module):
    """Patch feature memory bank W (paper, section 3.2).

    Row i belongs to training image i. A first visit stores the image's features, a later one moves the row:
    `w <- (1 - momentum) * w + momentum * x`; rows are never re-normalised. Everything is a buffer, so the bank
    is moved, saved and loaded like any module.

    A sharded bank is spread over the processes of a distributed run: each holds its `processes.share` of the rows,
    (M, N / W, D), and its `state_dict` is that of its shard. The union of the shards is, bit for bit, the bank that
    one process would hold.

    Args:
        num_images: N, the number of training images.
        num_patches: M.
        dim: D, the length of a patch feature.
        momentum: l, the share of the new feature in a later visit, in (0, 1].
        dtype: the bank's storage type; updates are computed in float32 or wider.
        sharded: hold this process' share of the rows only. Needs the process group.

    Attributes:
        shard: the first row that is held here, and N; None where all are.

    Raises:
        ValueError: for an argument out of range.

    Example:
        >>> memory = PatchMemory(num_images=100, num_patches=6, dim=256)
        >>> memory.update(torch.tensor([3, 7]), torch.randn(2, 6, 256))
        >>> memory.filled.sum()
        tensor(2)
    """

    def __init__(
        self,
        num_images: int,
        num_patches: int,
        dim: int,
        momentum: float = 0.1,
        dtype: torch.dtype = torch.float32,
        *,
        sharded: bool = False,
    ) -> None:
        super().__init__()
        check_at_least_1('PatchMemory', num_images=num_images, num_patches=num_patches, dim=dim)
        if not 0 < momentum <= 1:
            raise ValueError(f'PatchMemory: momentum must be in (0, 1], got {momentum}')
        sharded = sharded and processes.world_size() > 1
        if sharded and num_images < processes.world_size():
            raise ValueError(
                f'PatchMemory: {processes.world_size()} processes need as many images to share, got {num_images}'
            )
        self.num_images = num_images
        self.momentum = momentum
        self.held = processes.share(num_images) if sharded else slice(0, num_images)
        self.shard = (self.held.start, num_images) if sharded else None
        size = self.held.stop - self.held.start
        self.register_buffer('bank', torch.zeros(num_patches, size, dim, dtype=dtype))
        self.register_buffer('filled', torch.zeros(size, dtype=torch.bool))

    @property
    def here(self) -> Bank:
        """What this process holds, as a loss reads it."""
        return Bank(self.bank, self.filled, self.held.start, None if self.shard is None else self.num_images)

    @torch.no_grad()
    def update(self, rows: Tensor, features: Tensor) -> None:
        """Stores or moves the rows of one batch of real images.

        A sharded bank takes the batch of all processes, and of it the rows that it holds.

        Args:
            rows: (B,) int64, distinct; of all N images, also where the bank is sharded.
            features: (B, M, D).
        """
        if self.shard is not None:
            rows, features, here = self._held_rows(rows, features)
        old = self.bank[:, rows]
        new = features.detach().transpose(0, 1)
        wide = torch.promote_types(torch.promote_types(old.dtype, new.dtype), torch.float32)
        old, new = old.to(wide), new.to(wide)
        moved = (1 - self.momentum) * old + self.momentum * new
        stored = torch.where(self.filled[rows][:, None], moved, new)
        if self.shard is not None:
            stored = torch.where(here, stored, old)
        self.bank.index_copy_(1, rows, stored.to(self.bank.dtype))
        self.filled[rows] = True if self.shard is None else self.filled[rows] | here

    def _held_rows(self, rows: Tensor, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Puts in the place of each row of another shard a repetition of one that is held here.

        To drop those rows would make the host wait for the GPU, to learn how many are left. Repetitions write the
        same value twice.

        Returns:
            (B,) rows of this shard; (B, M, D), their features; (), whether any row is held here: if not, the rows and
            features stand for nothing.
        """
        rows = rows - self.held.start
        size = self.bank.shape[1]
        here = (rows >= 0) & (rows < size)
        source = torch.where(here, torch.arange(len(rows), device=rows.device), here.int().argmax())
        return rows[source].clamp(0, size - 1), features[source], here.any()

    def read(self, rows: Tensor) -> Tensor:
        """Rows of the bank, from whichever shard holds them; all processes ask for the same ones.

        Args:
            rows: (B,) int64.

        Returns:
            (M, B, D).
        """
        if self.shard is None:
            return self.bank[:, rows]
        rows = rows - self.held.start
        size = self.bank.shape[1]
        here = (rows >= 0) & (rows < size)
        return processes.total(self.bank[:, rows.clamp(0, size - 1)].masked_fill(~here[:, None], 0))

    def gathered_state(self) -> dict[str, Tensor]:
        """What `state_dict` of the whole bank would be; all processes call it, for a checkpoint.

        Returns:
            On the first process `bank` (M, N, D) and `filled` (N,), on the CPU where the bank is sharded; {} on the
            others.
        """
        state = self.state_dict()
        if self.shard is not None:
            dims = {'bank': 1, 'filled': 0}
            state = {name: processes.collect(state[name], self.num_images, dim) for name, dim in dims.items()}
        return state if processes.is_first() else {}

    def load_whole(self, state: dict[str, Tensor]) -> None:
        """Takes the rows held here out of a whole bank's state, saved by any number of processes.

        Args:
            state: `gathered_state()`, or `state_dict()` of a bank that is not sharded.

        Raises:
            ValueError: if it is not of N images.
        """
        if len(state['filled']) != self.num_images:
            raise ValueError(f'PatchMemory: a bank of {self.num_images} images, a state of {len(state["filled"])}')
        self.load_state_dict({'bank': state['bank'][:, self.held], 'filled': state['filled'][self.held]})

    def extra_repr(self) -> str:
        patches, _, dim = self.bank.shape
        held = '' if self.shard is None else f', rows {self.held.start} to {self.held.stop - 1}'
        return f'num_images={self.num_images}, num_patches={patches}, dim={dim}, momentum={self.momentum}{held}'


@torch.no_grad()
def mean_cosine(bank: Tensor, filled: Tensor | None = None, sharded: bool = False) -> float:
    """Mean cosine between the descriptors of two different images of the memory bank.

    The mean over all pairs follows from the sum of the normalised descriptors: one pass, no N x N matrix.

    Args:
        bank: (M, N, D).
        filled: (N,) bool, the rows that count; None for all.
        sharded: the rows are this process' shard of the bank; all processes call it together.

    Returns:
        From -1 to 1; 0 for fewer than two rows.

    Example:
        >>> mean_cosine(torch.ones(6, 100, 256))
        1.0
    """
    squares = torch.linalg.vector_norm(bank, dim=2, dtype=torch.float64).square_().sum(0)
    weights = squares.rsqrt().masked_fill_(squares == 0, 0)
    if filled is not None:
        weights.masked_fill_(~filled, 0)
    wide = torch.promote_types(bank.dtype, torch.float32)
    total = torch.einsum('mnd,n->md', bank.to(wide), weights.to(wide)).double()
    count = weights.count_nonzero().double()
    if sharded:
        total, count = processes.total(total), processes.total(count)
    count = count.item()
    return (total.square().sum().item() - count) / (count * (count - 1)) if count > 1 else 0.0
