"""Measures how long something takes, and how much memory."""

import ctypes
import gc
import statistics
import time
from collections.abc import Callable

import torch


def in_turn(runs: dict[str, Callable[[], object]], repeats: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each function, run A B A B ..., after one uncounted round."""
    times = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            if device.type == 'cuda':
                torch.cuda.synchronize()
            start = time.perf_counter()
            run()
            if device.type == 'cuda':
                torch.cuda.synchronize()
            if repeat:
                times[name].append(time.perf_counter() - start)
    return times


def in_words(times: list[float]) -> str:
    """Median, lowest and highest of some seconds."""
    return f'{1000 * statistics.median(times):.1f} ms ({1000 * min(times):.1f}-{1000 * max(times):.1f})'


def extra_peak(run: Callable[[], object], device: torch.device) -> float:
    """MiB that a run takes at its peak beyond what was held before it."""
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


def _resident(field: str = 'VmRSS') -> float:
    """MiB of this process that are in memory now, or with VmHWM were at its peak."""
    with open('/proc/self/status') as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(field))
