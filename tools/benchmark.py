"""Times each part of the method and the whole training step against a straightforward implementation of the formulas.

The two are run in turn, several times; medians, spreads and the ratio of medians are printed as a Markdown table.

example:
  python tools/benchmark.py --only ranking --repeats 3 --json benchmark.json
"""

import argparse
import contextlib
import ctypes
import gc
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
import torch
import torchreid
from torch import distributed, multiprocessing, nn
from torch.nn import functional as F

from paul_plugin import CyclicRankingMiner, ImagePAULEngine, IPFLLoss, PatchMemory, PEDALLoss, pool_patches
from paul_plugin.data import loaders
from paul_plugin.data.synthetic.render import render
from paul_plugin.engines.precision import MixedPrecision
from paul_plugin.host.ranking import fast_rank
from paul_plugin.method.patch_generation import random_boxes
from paul_plugin.runtime import processes

M, D, K, S, R, MARGIN = 6, 256, 10, 30.0, 3, 2.0
MARKET = 12_936  # training images of Market-1501
QUERY, GALLERY = 3_368, 15_913  # its test images


# ---- the straightforward implementation ------------------------------------------------------------------------------


def plain_pooling(features, theta):
    """Six sampled feature maps, each averaged."""
    patches = []
    for m in range(theta.shape[1]):
        grid = F.affine_grid(theta[:, m], list(features.shape), align_corners=True)
        patches.append(F.grid_sample(features, grid, align_corners=True).mean((2, 3)))
    return torch.stack(patches, 1)


class PlainMemory:
    """A list of rows for each patch, restacked in each step."""

    def __init__(self, bank):
        self.rows = [list(patch) for patch in bank]

    def update(self, rows, features):
        for m, patch in enumerate(self.rows):
            for i, row in enumerate(rows.tolist()):
                patch[row] = 0.9 * patch[row] + 0.1 * features[i, m].detach()
        return [torch.stack(patch) for patch in self.rows]


def plain_pedal(features, bank, rows):
    total = 0
    for m, patch in enumerate(bank):
        for i, row in enumerate(rows.tolist()):
            squared = (patch - features[i, m]).pow(2).sum(1)
            others = torch.cat([squared[:row], squared[row + 1 :]])
            logits = -S / 2 * others.sort().values
            total = total + logits.logsumexp(0) - logits[:K].logsumexp(0)
    return total / (len(rows) * len(bank))


def plain_ipfl(anchors, positives):
    """The walk of the paper: each anchor sorts the others, and so does each candidate that it meets."""

    def others(i):
        return [j for j in (anchors - anchors[i]).norm(dim=1).argsort().tolist() if j != i]

    terms = []
    for i in range(len(anchors)):
        for j in others(i):
            if i not in others(j)[:R]:
                to_positive, to_negative = (anchors[i] - positives[i]).norm(), (anchors[i] - anchors[j]).norm()
                terms.append((MARGIN + to_positive - to_negative).clamp(min=0))
                break
    return torch.stack(terms).mean() if terms else anchors.sum() * 0


# ---- ours, in the same shape -----------------------------------------------------------------------------------------


def our_pedal(memory, features, rows):
    memory.update(rows, features)
    return PEDALLoss(K, S)(features, memory.bank, rows)


def our_ipfl(anchors, positives):
    negatives = CyclicRankingMiner(R)(anchors)
    chosen = anchors.index_select(0, negatives.clamp(min=0))
    return IPFLLoss(MARGIN)(anchors, positives, chosen, valid=negatives >= 0)


# ---- measuring -------------------------------------------------------------------------------------------------------


def in_turn(pairs: dict[str, Callable], repeats: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each function, run A B A B ..., after one uncounted round."""
    times = {name: [] for name in pairs}
    for repeat in range(repeats + 1):
        for name, run in pairs.items():
            if device.type == 'cuda':
                torch.cuda.synchronize()
            start = time.perf_counter()
            run()
            if device.type == 'cuda':
                torch.cuda.synchronize()
            if repeat:
                times[name].append(time.perf_counter() - start)
    return times


def unit_features(*shape, device):
    return F.normalize(torch.randn(*shape, device=device), dim=-1)


def bench_pooling(device):
    features = torch.randn(8, 2048, 24, 8, device=device, requires_grad=True)
    theta = (random_boxes(M) + 0.05 * torch.randn(8, M, 2, 3)).to(device).requires_grad_()

    def run(pool):
        features.grad = theta.grad = None
        pool(features, theta).square().sum().backward()

    return {'plain': lambda: run(plain_pooling), 'ours': lambda: run(pool_patches)}


def bench_pedal(device, images=MARKET, batch=40):
    features = unit_features(batch, M, D, device=device).requires_grad_()
    memory = PatchMemory(images, M, D).to(device)
    memory.bank.copy_(unit_features(M, images, D, device=device))
    memory.filled.fill_(True)
    rows = torch.randperm(images, device=device)[:batch]
    plain = PlainMemory(memory.bank.clone()) if images <= MARKET else None

    def run_plain():
        features.grad = None
        plain_pedal(features, plain.update(rows, features), rows).backward()

    def run_ours():
        features.grad = None
        our_pedal(memory, features, rows).backward()

    return {'plain': run_plain, 'ours': run_ours} if plain else {'ours': run_ours}


def bench_ipfl(device, batch):
    anchors = unit_features(batch, M, D, device=device).flatten(1).requires_grad_()
    positives = unit_features(batch, M, D, device=device).flatten(1)

    def run(loss):
        anchors.grad = None
        loss(anchors, positives).backward()

    return {'plain': lambda: run(plain_ipfl), 'ours': lambda: run(our_ipfl)}


def bench_ranking(device):
    """CMC and mAP of random distances, by torchreid's Python evaluation and by ours, on the CPU; they must be equal."""
    draw = np.random.default_rng(0)
    distances = draw.random((QUERY, GALLERY), np.float32)
    whose = [draw.integers(0, most, size) for most in (751, 6) for size in (QUERY, GALLERY)]  # people, cameras
    found = []

    def run_plain():
        found[:] = torchreid.metrics.evaluate_rank(distances, *whose, use_cython=False)

    def run_ours():
        cmc, mean_ap = fast_rank(distances, *whose)
        if not np.array_equal(cmc, found[0]) or mean_ap != found[1]:
            raise ValueError('fast_rank parts from torchreid')

    return {'plain': run_plain, 'ours': run_ours}


class WholeStep:
    """A training step of the unsupervised stage: ResNet-50, 384x128, 4 images and 4 surrogates, N of Market-1501."""

    def __init__(self, device, amp='off', plain=False):
        self.device, self.plain = device, plain
        self.model = torchreid.models.build_model('paul', loss='paul', pretrained=False).to(device)
        if not plain:
            self.model.pgn.requires_grad_(False)
            self.model.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)
        self.precision = MixedPrecision(amp, device)
        self.images = torch.randn(8, 3, 384, 128, device=device)
        self.rows = torch.randperm(MARKET, device=device)[:4]
        bank = unit_features(M, MARKET, D, device=device)
        self.memory = PlainMemory(bank) if plain else PatchMemory(MARKET, M, D).to(device)
        if not plain:
            self.memory.bank.copy_(bank)
            self.memory.filled.fill_(True)

    def plain_losses(self):
        net = self.model
        maps = net.backbone.featuremaps(self.images)
        pooled = plain_pooling(maps, net.pgn(maps))
        features = [F.normalize(branch(pooled[:, m]), dim=1) for m, branch in enumerate(net.branches)]
        real, surrogate = torch.stack(features, 1).chunk(2)
        pedal = plain_pedal(real, self.memory.update(self.rows, real), self.rows)
        return plain_ipfl(real.flatten(1), surrogate.flatten(1)) + 2 * pedal

    def our_losses(self):
        with self.precision.autocast():
            real, surrogate = self.model(self.images).chunk(2)
        pedal = our_pedal(self.memory, real, self.rows)
        return our_ipfl(real.flatten(1), surrogate.flatten(1)) + 2 * pedal

    def __call__(self):
        self.precision.step(self.plain_losses() if self.plain else self.our_losses(), self.optimizer)

    def floor(self):
        """What no implementation can leave out: backbone forward and backward, PGN forward."""
        self.model.zero_grad()
        with self.precision.autocast():
            maps = self.model.backbone.featuremaps(self.images)
            with torch.no_grad():
                self.model.pgn(maps)
        maps.float().mean().backward()


def bench_step(device, amp):
    ours = WholeStep(device, amp)
    pairs = {'plain': WholeStep(device, plain=True), 'ours': ours, 'floor': ours.floor}
    if amp == 'off':
        pairs['ours, bf16'] = WholeStep(device, 'bf16')
    return pairs


# ---- memory ----------------------------------------------------------------------------------------------------------


def extra_peak(run: Callable, device: torch.device) -> float:
    """MB that a run takes at its peak beyond what was held before it."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # else the run takes what earlier ones left in the process
    before = _resident()
    with open('/proc/self/clear_refs', 'w') as file:
        file.write('5')  # resets the peak, VmHWM
    run()
    return _resident('VmHWM') - before


def peak_of_pedal(device: torch.device, images: int, batch: int = 40) -> dict[str, float]:
    """MB of the bank, and of the peak beside it in a step of bank update + PEDAL."""
    run = bench_pedal(device, images, batch)['ours']
    return {'bank_mb': images * M * D * 4 / 2**20, 'extra_mb': extra_peak(run, device)}


def _resident(field: str = 'VmRSS') -> float:
    with open('/proc/self/status') as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(field))


def peak_in_a_process(device: torch.device, images: int) -> dict[str, float]:
    """The same in a new process, whose memory nothing else has used."""
    command = [sys.executable, __file__, '--device', device.type, '--peak', str(images)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


# ---- the report ------------------------------------------------------------------------------------------------------


def describe(times: list[float]) -> str:
    return f'{1000 * statistics.median(times):.1f} ms ({1000 * min(times):.1f}-{1000 * max(times):.1f})'


def machine(device: torch.device) -> str:
    if device.type == 'cuda':
        return torch.cuda.get_device_name()
    with open('/proc/cpuinfo') as file:
        name = next(
            (line.split(':')[1].strip() for line in file if line.startswith('model name')), platform.processor()
        )
    return f'{name}, {torch.get_num_threads()} threads'


def free_memory() -> float:
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_AVPHYS_PAGES')


def wanted(name: str, words: list[str] | None) -> bool:
    return not words or any(word in name for word in words)


def pedal_growth(device: torch.device, repeats: int) -> dict[int, dict]:
    """Time and memory of bank update + PEDAL over the size of the bank, as far as the memory goes."""
    room = torch.cuda.mem_get_info()[0] if device.type == 'cuda' else free_memory()
    print('\n| PEDAL growth, B=40, N | step | per row | bank | extra peak |\n| --- | --- | --- | --- | --- |')
    figures = {}
    for n in (10_000, 100_000, 200_000, 1_000_000):
        if n * M * D * 4 * 2.2 > room:
            print(f'| {n:,} | does not fit this machine |')
            continue
        times = in_turn(bench_pedal(device, n), repeats, device)['ours']
        peak = peak_in_a_process(device, n)
        figures[n] = {'times': times, **peak}
        per_row = statistics.median(times) / n * 1e6
        bank, extra = peak['bank_mb'], peak['extra_mb']
        print(f'| {n:,} | {describe(times)} | {per_row:.2f} us | {bank:.0f} MB | {extra:.0f} MB |', flush=True)
    return figures


def loader_of_the_embedded_job(device: torch.device) -> dict[str, float]:
    """An unsupervised epoch of the embedded job with 2 workers: images/s, and the share of time spent on waiting."""
    with tempfile.TemporaryDirectory() as root, contextlib.redirect_stdout(io.StringIO()):
        render(os.path.join(root, 'synthetic_target'), 'target', seed=1)
        datamanager = torchreid.data.ImageDataManager(
            root=root,
            sources='synthetic_target',
            height=96,
            width=48,
            transforms=['random_flip', 'surrogate_positive'],
            batch_size_train=40,
            workers=2,
            use_gpu=device.type == 'cuda',
        )
        model = torchreid.models.build_model('paul_osnet_x0_25', loss='paul', pretrained=False)
        model = model.to(memory_format=torch.channels_last).to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        engine = ImagePAULEngine(datamanager, model, optimizer, use_gpu=device.type == 'cuda', k=K, scale=10.0)
        engine.fill_memory()
        engine.two_stepped_transfer_learning(0, 0, None)
        loader = loaders.seeded_loader(datamanager.train_loader, seed=1)
        for _ in range(2):  # the workers start with the first epoch
            waited, images, start = 0.0, 0, time.perf_counter()
            end = start
            for batch in loader:
                waited += time.perf_counter() - end
                engine.forward_backward(batch)
                images += len(batch['impath'])
                end = time.perf_counter()
            total = end - start
    figures = {'images_per_second': images / total, 'data_share': waited / total}
    print(f'\nunsupervised epoch of the embedded job, 2 workers: {images / total:.0f} images/s, ', end='')
    print(f'waiting for data {waited / total:.1%} of the time')
    return figures


# ---- several processes -----------------------------------------------------------------------------------------------


def received() -> int:
    """Bytes that came in over the machine's own network interface, through which its processes talk."""
    with open('/proc/net/dev') as file:
        return next(int(line.split()[1]) for line in file if line.strip().startswith('lo:'))


def time_distributed(rank: int, world: int, sharded: bool, repeats: int, folder: str) -> None:
    """One process of a training step that several share: ResNet-50, 256x128, 8 images and 8 surrogates in all."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // world))
    torch.manual_seed(0)
    distributed.init_process_group('gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=world)
    batch = 8
    model = torchreid.models.build_model('paul', loss='paul', pretrained=False).to(memory_format=torch.channels_last)
    for module in (model.pgn, model.classifier, model.embedding):
        module.requires_grad_(False)
    network = nn.parallel.DistributedDataParallel(model) if world > 1 else model
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)
    memory = PatchMemory(MARKET, M, D, sharded=sharded)
    memory.filled.fill_(True)
    memory.bank.copy_(unit_features(*memory.bank.shape, device='cpu'))
    images = torch.randn(2 * batch // world, 3, 256, 128)
    rows = torch.randperm(MARKET)[:batch][processes.own(batch // world)]

    def step():
        real, surrogate = network(images).chunk(2)
        everyone = processes.gather_with_grad(real)
        memory.update(processes.gather(rows), everyone)
        loss = PEDALLoss(K, S)(real, memory.bank, rows, memory.filled, memory.shard)
        loss = loss + our_ipfl(everyone.flatten(1), processes.gather_with_grad(surrogate).flatten(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

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
        features = 4 * batch * M * D  # bytes; each process gets the others' (W - 1) / W of them
        gathers = 2 * features + 8 * batch  # real images, surrogates, rows
        if sharded:  # as PEDALLoss has it: features and rows, logits, and gradients as gloo sums them
            gathers += features + 8 * batch + 4 * world * batch * M * (K + 1) + 2 * features
        gradients = 2 * sum(4 * p.numel() for p in model.parameters() if p.requires_grad)
        buffers = sum(b.numel() * b.element_size() for b in model.buffers())  # rank 0's, to the others
        found = {
            'times': times,
            'bytes': (received() - before) / repeats,
            'ideal': (world - 1) * (gradients + gathers + buffers),
            'gradients': (world - 1) * gradients,
            'bank_mb': memory.bank.numel() * 4 / 2**20,
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
        sent = f'{found["bytes"] / 2**20:.2f} MB | {found["ideal"] / 2**20:.2f} MB'
        print(f'| {name} | {describe(found["times"])} | {sent} | {found["bank_mb"]:.0f} MB |', flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument('--amp', choices=['off', 'bf16', 'fp16'], default='off', help='precision of our training step')
    parser.add_argument('--json', metavar='FILE', help='write all figures there')
    parser.add_argument('--repeats', type=int, default=5, help='times that each is run (default: 5)')
    parser.add_argument('--only', nargs='+', metavar='WORD', help='only the rows whose name holds one of the words')
    parser.add_argument('--peak', type=int, metavar='N', help=argparse.SUPPRESS)
    args = parser.parse_args()
    device = torch.device(args.device)
    torch.manual_seed(0)
    if args.peak:
        print(json.dumps(peak_of_pedal(device, args.peak)))
        return

    rows = {
        'patch pooling, (8,2048,24,8)': (bench_pooling, {}),
        f'bank update + PEDAL, N={MARKET:,}, B=40': (bench_pedal, {}),
        'cyclic ranking + IPFL, B=40': (bench_ipfl, {'batch': 40}),
        'cyclic ranking + IPFL, B=256': (bench_ipfl, {'batch': 256}),
        f'ranking evaluation, {QUERY:,} x {GALLERY:,}': (bench_ranking, {}),
        'whole training step, ResNet-50, 384x128, 4+4 images': (bench_step, {'amp': args.amp}),
    }
    figures = {'machine': machine(device), 'torch': torch.__version__, 'amp': args.amp, 'parts': {}}
    print(f'{figures["machine"]}, torch {torch.__version__}\n')
    print('| part | straightforward | ours | ratio | peak memory, MB |\n| --- | --- | --- | --- | --- |')
    for name, (bench, options) in rows.items():
        if not wanted(name, args.only):
            continue
        runs = bench(device, **options)
        times = in_turn(runs, args.repeats, device)
        peaks = {variant: extra_peak(run, device) for variant, run in runs.items()}
        medians = {variant: statistics.median(values) for variant, values in times.items()}
        figures['parts'][name] = {'seconds': times, 'peak_mb': peaks}
        for variant in [variant for variant in times if variant.startswith('ours')]:
            label = name + variant.removeprefix('ours')
            ratio = medians['plain'] / medians[variant]
            seconds = f'{describe(times["plain"])} | {describe(times[variant])} | {ratio:.1f}x'
            print(f'| {label} | {seconds} | {peaks["plain"]:.0f} -> {peaks[variant]:.0f} |', flush=True)
        if 'floor' in times:
            floor, ours, ratio = times['floor'], times['ours'], medians['ours'] / medians['floor']
            print(f'| ... against its floor | {describe(floor)} | {describe(ours)} | {ratio:.2f} of it | |', flush=True)

    if wanted('PEDAL growth', args.only):
        figures['pedal'] = pedal_growth(device, args.repeats)
    if wanted('loader', args.only):
        figures['loader'] = loader_of_the_embedded_job(device)
    if wanted('distributed', args.only):
        figures['distributed'] = distributed_steps(args.repeats)
    if args.json:
        with open(args.json, 'w') as file:
            json.dump(figures, file, indent=2)


if __name__ == '__main__':
    main()
