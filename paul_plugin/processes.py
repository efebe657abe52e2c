"""The processes of a distributed run: who is who, and collectives that autograd sees."""

import torch
import torch.distributed as dist
from torch import Tensor

# Every function that names "all processes" is a collective: all of them call it, in the same order, with tensors of
# equal shapes and types on a device that the backend takes (NCCL: the process' GPU). Without a process group there is
# one process, and nothing is sent.


def _is_initialised() -> bool:
    return dist.is_available() and dist.is_initialized()


def world_size() -> int:
    """W, the number of processes."""
    return dist.get_world_size() if _is_initialised() else 1


def rank() -> int:
    """This process' number, from 0 on."""
    return dist.get_rank() if _is_initialised() else 0


def is_first() -> bool:
    """Whether this is the process that writes logs and checkpoints."""
    return rank() == 0


def share(total: int, process: int | None = None) -> slice:
    """The rows of `total` that one process holds: contiguous, in rank order, as equal as can be.

    Args:
        total: the number of rows of all processes.
        process: whose share; None for this process'.
    """
    process = rank() if process is None else process
    return slice(process * total // world_size(), (process + 1) * total // world_size())


def own(size: int) -> slice:
    """Where this process' `size` rows are in what `gather` returns."""
    return slice(rank() * size, (rank() + 1) * size)


@torch.no_grad()
def gather(tensor: Tensor) -> Tensor:
    """The tensors of all processes, one after the other in rank order: (b, ...) -> (W * b, ...), without gradient."""
    if world_size() == 1:
        return tensor.detach()
    gathered = tensor.new_empty(world_size() * tensor.shape[0], *tensor.shape[1:])
    dist.all_gather_into_tensor(gathered, tensor.contiguous())
    return gathered


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tensor):
        ctx.size = len(tensor)
        return gather(tensor)

    @staticmethod
    def backward(ctx, grad):
        return world_size() * grad[own(ctx.size)]


def gather_with_grad(tensor: Tensor) -> Tensor:
    """`gather`, differentiable: (b, ...) -> (W * b, ...).

    The convention: from the gathered tensor on, every process computes the same loss, that of the whole batch, and
    afterwards the gradients of the weights are averaged over processes, as DistributedDataParallel does. The average
    is then the gradient that one process with the whole batch has. Each process is answerable for the rows it
    brought: its gradient is W times its own rows' of the loss, which the average divides by W again. Nothing is sent
    in the backward pass. Weights used after the gathering have the same gradient everywhere, also after the average.
    A loss of which each process computes its own images' mean, as sharded PEDAL, is simply added.
    """
    return tensor if world_size() == 1 else _Gather.apply(tensor)


@torch.no_grad()
def scatter_sum(tensor: Tensor) -> Tensor:
    """The sum over all processes, of which each gets its own rows: (W * b, ...) -> (b, ...), without gradient."""
    if world_size() == 1:
        return tensor.detach()
    own_sum = tensor.new_empty(tensor.shape[0] // world_size(), *tensor.shape[1:])
    dist.reduce_scatter_tensor(own_sum, tensor.contiguous())  # gloo: an all_reduce inside
    return own_sum


@torch.no_grad()
def mean(tensor: Tensor) -> Tensor:
    """The average over all processes of a floating-point tensor, for logs: the same shape, without gradient."""
    if world_size() == 1:
        return tensor.detach()
    total = tensor.detach().clone()
    dist.all_reduce(total)
    return total / world_size()


def any_of(flag: bool) -> bool:
    """Whether any of all processes says so: they stop together. With NCCL, needs the process' GPU to be the current."""
    if world_size() == 1:
        return flag
    device = 'cuda' if dist.get_backend() == 'nccl' else 'cpu'
    flags = torch.tensor(int(flag), device=device)
    dist.all_reduce(flags, dist.ReduceOp.MAX)
    return bool(flags)


@torch.no_grad()
def collect(shard: Tensor, total: int, dim: int) -> Tensor | None:
    """The shards of all processes as one tensor on the CPU of the first, shard by shard; None on the others.

    Args:
        shard: this process' `share` of `total` rows.
        total: the number of rows of all processes.
        dim: the dimension of the rows.
    """
    if not is_first():
        dist.send(shard.contiguous(), dst=0)
        return None
    whole = torch.empty(*shard.shape[:dim], total, *shard.shape[dim + 1 :], dtype=shard.dtype)
    for process in range(world_size()):
        rows = share(total, process)
        place = whole.narrow(dim, rows.start, rows.stop - rows.start)
        part = shard
        if process > 0:
            part = shard.new_empty(place.shape)  # one shard at a time: the first GPU never holds the whole
            dist.recv(part, src=process)
        place.copy_(part)
    return whole
