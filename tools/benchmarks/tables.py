"""The tables of the benchmark."""

import argparse
import json
import platform
import statistics
from collections.abc import Callable, Sequence

import torch

from paul_plugin.commands.benchmark import GROWING, wants_growing

from .distributed import distributed_steps
from .growth import peak_of_pedal, pedal_growth
from .job import job_by_stage
from .job_growth import job_growth
from .loading import loader_of_the_embedded_job
from .measure import extra_peak, in_turn, in_words
from .networks import bench_describing, bench_small_step
from .parts import Runs, bench_ipfl, bench_pedal, bench_pooling, bench_ranking
from .sizes import GALLERY, MARKET, QUERY
from .step import bench_step

# name in the table -> makes what is run, from a device and the precision of our training step
ROWS: dict[str, Callable[[torch.device, str], Runs]] = {
    'patch pooling, (8,2048,24,8)': lambda device, amp: bench_pooling(device),
    f'bank update + PEDAL, N={MARKET:,}, B=40': lambda device, amp: bench_pedal(device),
    'cyclic ranking + IPFL, B=40': lambda device, amp: bench_ipfl(device, 40),
    'cyclic ranking + IPFL, B=256': lambda device, amp: bench_ipfl(device, 256),
    f'ranking evaluation, {QUERY:,} x {GALLERY:,}': lambda device, amp: bench_ranking(device),
    'whole training step, ResNet-50, 384x128, 4+4 images': bench_step,
    'network forward and backward, OSNet x0.25, 256x128, 20 images': lambda device, amp: bench_small_step(device),
    'describing on the CPU, OSNet x0.25, 256x128, 1024 crops': lambda device, amp: bench_describing(
        'paul_osnet_x0_25', (256, 128), 1024, 100
    ),
    'describing on the CPU, ResNet-50, 384x128, 128 crops': lambda device, amp: bench_describing(
        'paul', (384, 128), 128, 16
    ),
}


def machine(device: torch.device) -> str:
    """The processor that all of it runs on."""
    if device.type == 'cuda':
        return torch.cuda.get_device_name()
    with open('/proc/cpuinfo') as file:
        name = next(
            (line.split(':')[1].strip() for line in file if line.startswith('model name')), platform.processor()
        )
    return f'{name}, {torch.get_num_threads()} threads'


def wanted(name: str, words: list[str] | None) -> bool:
    """Whether a row is asked for: its name holds one of the words, or there are none."""
    return not words or any(word in name for word in words)


def print_part(name: str, times: dict[str, list[float]], peaks: dict[str, float]) -> None:
    """Prints the rows of a part: each of ours against the straightforward one, and against the floor if it has one."""
    medians = {variant: statistics.median(values) for variant, values in times.items()}
    for variant in [variant for variant in times if variant.startswith('ours')]:
        label = name + variant.removeprefix('ours')
        ratio = medians['plain'] / medians[variant]
        seconds = f'{in_words(times["plain"])} | {in_words(times[variant])} | {ratio:.1f}x'
        print(f'| {label} | {seconds} | {peaks["plain"]:.0f} -> {peaks[variant]:.0f} |', flush=True)
    if 'floor' in times:
        floor, ours, ratio = times['floor'], times['ours'], medians['ours'] / medians['floor']
        print(f'| ... against its floor | {in_words(floor)} | {in_words(ours)} | {ratio:.2f} of it | |', flush=True)


def time_parts(device: torch.device, amp: str, repeats: int, only: Sequence[str] | None) -> dict[str, dict]:
    """Times the parts that are asked for, and prints them: name -> seconds and MiB of each implementation."""
    print('| part | straightforward | ours | ratio | peak memory, MiB |\n| --- | --- | --- | --- | --- |')
    figures = {}
    for name, make_runs in ROWS.items():
        if not wanted(name, only):
            continue
        runs = make_runs(device, amp)
        times = in_turn(runs, repeats, device)
        peaks = {variant: extra_peak(run, device) for variant, run in runs.items()}
        figures[name] = {'seconds': times, 'peak_mib': peaks}
        print_part(name, times, peaks)
    return figures


def benchmark(args: argparse.Namespace) -> None:
    """Prints the tables that the arguments ask for, and writes their figures if a file is named."""
    device = torch.device(args.device)
    torch.manual_seed(0)
    if args.peak:
        print(json.dumps(peak_of_pedal(device, args.peak)))
        return

    figures = {'machine': machine(device), 'torch': torch.__version__, 'amp': args.amp}
    print(f'{figures["machine"]}, torch {torch.__version__}\n')
    if args.job:
        figures['job'] = job_by_stage(args.job, args.repeats, args.against, args.until)
    else:
        figures |= tables_of_parts(device, args)
    if args.json:
        with open(args.json, 'w') as file:
            json.dump(figures, file, indent=2)


def tables_of_parts(device: torch.device, args: argparse.Namespace) -> dict[str, dict]:
    """Prints the tables whose names hold one of the words asked for; returns their figures."""
    figures = {'parts': time_parts(device, args.amp, args.repeats, args.only)}
    if wanted('PEDAL growth', args.only):
        figures['pedal'] = pedal_growth(device, args.repeats)
    if wants_growing(args.only):
        figures[GROWING] = job_growth(picture=args.picture)
    if wanted('loader', args.only):
        figures['loader'] = loader_of_the_embedded_job(device)
    if wanted('distributed', args.only):
        figures['distributed'] = distributed_steps(args.repeats)
    return figures
