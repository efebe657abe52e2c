"""What a larger memory bank costs a step."""

import json
import os
import statistics
import subprocess
import sys

import torch

from .measure import extra_peak, in_turn, in_words
from .parts import bench_pedal
from .sizes import D, M


def peak_of_pedal(device: torch.device, images: int, batch: int = 40) -> dict[str, float]:
    """MiB of the bank, and of the peak beside it in a step of bank update + PEDAL."""
    run = bench_pedal(device, images, batch)['ours']
    return {'bank_mib': images * M * D * 4 / 2**20, 'extra_mib': extra_peak(run, device)}


def peak_in_a_process(device: torch.device, images: int) -> dict[str, float]:
    """`peak_of_pedal` in a new process, whose memory nothing else has used."""
    command = [sys.executable, '-m', 'paul_plugin', 'benchmark', '--device', device.type, '--peak', str(images)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def _free_memory(device: torch.device) -> int:
    """Bytes."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info()[0]
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_AVPHYS_PAGES')


def pedal_growth(device: torch.device, repeats: int) -> dict[int, dict]:
    """Time and memory of bank update + PEDAL over the size of the bank, as far as the memory goes."""
    room = _free_memory(device)
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
        bank, extra = peak['bank_mib'], peak['extra_mib']
        print(f'| {n:,} | {in_words(times)} | {per_row:.2f} us | {bank:.0f} MiB | {extra:.0f} MiB |', flush=True)
    return figures
