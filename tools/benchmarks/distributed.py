"""A training step that several processes share, and what they send each other."""

import json
import os
import tempfile
import time

import torch
import torchreid
from torch import distributed, multiprocessing, nn

from paul_plugin.method.memory import PatchMemory
from paul_plugin.method.pedal import PEDALLoss
from paul_plugin.runtime import processes

from .measure import in_words
from .ours import our_ipfl, unit_features
from .sizes import MARKET, D, K, M, S


def received() -> int:
    """Bytes that came in over the machine's own network interface, through which its processes talk."""
    with open('/proc/net/dev') as file:
        return next(int(line.split()[1]) for line in file if line.strip().startswith('lo:'))


class SharedStep:
    """One process's share of a training step: ResNet-50, 256x128, 8 images and 8 surrogates in all.

    Args:
        world: how many processes share it; they have met.
        sharded: each process holds a shard of the bank.
    """

    batch = 8

    def __init__(self, world: int, sharded: bool) -> None:
        model = torchreid.models.build_model('paul', loss='paul', pretrained=False)
        self.model = model.to(memory_format=torch.channels_last)
        for module in (model.pgn, model.classifier, model.embedding):
            module.requires_grad_(False)
        self.world, self.sharded = world, sharded
        self.network = nn.parallel.DistributedDataParallel(model) if world > 1 else model
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=1e-4, momentum=0.9)
        self.memory = PatchMemory(MARKET, M, D, sharded=sharded)
        self.memory.filled.fill_(True)
        self.memory.bank.copy_(unit_features(*self.memory.bank.shape, device='cpu'))
        self.images = torch.randn(2 * self.batch // world, 3, 256, 128)
        self.rows = torch.randperm(MARKET)[: self.batch][processes.own(self.batch // world)]

    def __call__(self) -> None:
        memory = self.memory
        real, surrogate = self.network(self.images).chunk(2)
        everyone = processes.gather_with_grad(real)
        memory.update(processes.gather(self.rows), everyone)
        loss = PEDALLoss(K, S)(real, memory.bank, self.rows, memory.filled, memory.shard)
        loss = loss + our_ipfl(everyone.flatten(1), processes.gather_with_grad(surrogate).flatten(1))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def least_bytes(self) -> dict[str, int]:
        """What all processes together cannot leave unsent in a step, and the gradients' part of it."""
        features = 4 * self.batch * M * D  # bytes; each process gets the others' (W - 1) / W of them
        gathers = 2 * features + 8 * self.batch  # real images, surrogates, rows
        if self.sharded:  # as PEDALLoss has it: features and rows, logits, and gradients as gloo sums them
            gathers += features + 8 * self.batch + 4 * self.world * self.batch * M * (K + 1) + 2 * features
        gradients = 2 * sum(4 * p.numel() for p in self.model.parameters() if p.requires_grad)
        buffers = sum(b.numel() * b.element_size() for b in self.model.buffers())  # rank 0's, to the others
        others = self.world - 1
        return {'ideal': others * (gradients + gathers + buffers), 'gradients': others * gradients}


def time_distributed(rank: int, world: int, sharded: bool, repeats: int, folder: str) -> None:
    """One of the processes; the first writes what was found to `folder`/found.json."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // world))
    torch.manual_seed(0)
    distributed.init_process_group('gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=world)
    step = SharedStep(world, sharded)
    for _ in range(2):  # DistributedDataParallel sorts its buckets after the first
        step()
    distributed.barrier()
    before, times = received(), []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    distributed.barrier()
    if rank == 0:
        found = {
            'times': times,
            'bytes': (received() - before) / repeats,
            **step.least_bytes(),
            'bank_mib': step.memory.bank.numel() * 4 / 2**20,
        }
        with open(os.path.join(folder, 'found.json'), 'w') as file:
            json.dump(found, file)
    distributed.destroy_process_group()


def distributed_steps(repeats: int) -> dict[str, dict]:
    """A training step shared by 1, 2 and 4 processes of this machine's CPU, with and without shards of the bank."""
    print('\n| processes (gloo, CPU) | step | sent per step, all processes | least possible | bank of each |')
    print('| --- | --- | --- | --- | --- |')
    figures = {}
    for world, sharded in ((1, False), (2, False), (2, True), (4, False), (4, True)):
        with tempfile.TemporaryDirectory() as folder:
            multiprocessing.spawn(time_distributed, (world, sharded, repeats, folder), nprocs=world)
            with open(os.path.join(folder, 'found.json')) as file:
                found = json.load(file)
        name = f'{world}{", bank in shards" if sharded else ""}'
        figures[name] = found
        sent = f'{found["bytes"] / 2**20:.2f} MiB | {found["ideal"] / 2**20:.2f} MiB'
        print(f'| {name} | {in_words(found["times"])} | {sent} | {found["bank_mib"]:.0f} MiB |', flush=True)
    return figures
