"""The processes of a distributed run: who is who, and collectives that autograd sees."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from . import launch

PATIENCE = timedelta(hours=2)  # the others wait while the first process ranks a large gallery


@contextmanager
def group(use_gpu: bool) -> Iterator[None]:
    """The process group of a run that torchrun started, NCCL on GPUs and gloo on CPUs; nothing without torchrun.

    Raises:
        UserError: if there are more processes than GPUs on this machine, or they cannot meet.
    """
    if not launch.launched():
        yield
        return
    launch.number_launched()  # refuses an environment that is not torchrun's
    if use_gpu:
        local = launch.local_rank()
        if local >= torch.cuda.device_count():
            raise launch.refusal(
                f'process {local} of this machine has no GPU, there are {torch.cuda.device_count()}: '
                'lower --nproc_per_node, or set use_gpu False'
            )
        torch.cuda.set_device(local)
    store, number, world = _meet()
    # torchrun keeps the store when it starts all processes again: under the same keys they would meet the dead ones.
    store = dist.PrefixStore(f'attempt {launch.attempt()}', store)
    backend = 'nccl' if use_gpu else 'gloo'
    dist.init_process_group(backend, store=store, rank=number, world_size=world, timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def _meet() -> 'tuple[dist.Store, int, int]':
    """The store that the processes share, this one's number, and how many they are."""
    place = launch.meeting_point()
    try:
        return next(dist.rendezvous('env://', timeout=PATIENCE))
    except (dist.DistError, OSError, RuntimeError, ValueError) as failure:
        reason = str(failure).splitlines()[0][:200]
        raise launch.refusal(f'the processes cannot meet at {place} (MASTER_ADDR:MASTER_PORT): {reason}') from None


def is_loss_of_another(error: Exception) -> bool:
    """Whether an error says that another process of the run is gone."""
    words = ('Connection closed by peer', 'Connection reset by peer', 'Broken pipe', 'remote process exited')
    return launch.launched() and (isinstance(error, dist.DistError) or any(word in str(error) for word in words))


@contextmanager
def silence() -> Iterator[None]:
    """What a process but the first prints is not shown."""
    with open(os.devnull, 'w') as nowhere, redirect_stdout(nowhere):
        yield


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
def total(tensor: Tensor) -> Tensor:
    """The sum over all processes: the same shape, without gradient."""
    if world_size() == 1:
        return tensor.detach()
    summed = tensor.detach().clone()
    dist.all_reduce(summed)
    return summed


def mean(tensor: Tensor) -> Tensor:
    """The average over all processes of a floating-point tensor, for logs: the same shape, without gradient."""
    return total(tensor) / world_size() if world_size() > 1 else tensor.detach()


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


def from_first(value: object) -> object:
    """The first process' value, on all processes; any object that can be pickled."""
    if world_size() == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


@contextmanager
def first_alone() -> Iterator[bool]:
    """A block that the first process is done with before the others go on; yields whether this is the first."""
    yield is_first()
    if world_size() > 1:
        dist.barrier()


def copy_buffers(model: nn.Module) -> None:
    """Gives all processes the first one's buffers: without SyncBatchNorm each has statistics of its own images."""
    if world_size() > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)


def gather_parts(part: Tensor, size: int) -> list[Tensor]:
    """The tensors of all processes, in rank order, where some have fewer rows, or none.

    Args:
        part: (b, ...), b from 0 to `size`.
        size: the same on all processes.
    """
    padded = part.new_zeros(size, *part.shape[1:])
    padded[: len(part)] = part
    counts = gather(torch.tensor([len(part)], device=part.device)).tolist()
    return [rows[:count] for rows, count in zip(gather(padded).split(size), counts, strict=True)]


def from_all(value: object) -> list:
    """The values of all processes, in rank order, on all of them; any object that can be pickled."""
    if world_size() == 1:
        return [value]
    values = [None] * world_size()
    dist.all_gather_object(values, value)
    return values
