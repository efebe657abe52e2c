"""Where the time of a whole job goes: `paul train` in a process of its own, its output stamped line by line."""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from paul_plugin.runtime.errors import UserError, printable

_TRIES, _RATE, _POSITIVES = 'train.lr auto: tries', '  rate ', 'Positives'
# How a line begins -> the stage that it ends. Lines of no stage go to the stage of the next one that has one.
STAGES = {
    'Building model': 'start of the program, data set',
    'measured the statistics': "norms of START's file",
    'Camera centring': 'tests: describing',
    'Done, obtained': 'tests: describing',
    '** Results': 'tests: ranking',
    'Signs of cameras, filled': 'filling the bank',
    _RATE: 'filling the bank, trying rates',
    'Signs of cameras': 'signs',
    _POSITIVES: 'choosing positives',
    'epoch: [': 'steps',
    'Checkpoint saved': 'saving',
}
REST = 'rest'
_EPOCH = re.compile(r'epoch: \[(\d+)/\d+\]\[(\d+)/\d+\].*?data \S+ \((\S+)\)')
_WAIT = 'steps, of which waiting for data'


def seconds_of_stages(lines: Iterable[tuple[float, str]]) -> dict[str, float]:
    """Seconds of each stage by a job's stamped lines, (seconds since the start, line).

    Example:
        >>> seconds_of_stages([(2.0, 'Building model: paul'), (3.0, 'Loaded'), (5.0, 'Positives: 3 an image')])
        {'start of the program, data set': 2.0, 'choosing positives': 3.0}
    """
    seconds, last, now, waits = defaultdict(float), 0.0, 0.0, {}
    trying = False  # rates: the bank is filled first, without a line of its own, and positives are chosen
    for now, line in lines:
        stage = next((stage for start, stage in STAGES.items() if line.startswith(start)), None)
        trying = (trying or line.startswith(_TRIES)) and not line.startswith(_RATE)
        stage = STAGES[_RATE] if trying and stage == STAGES[_POSITIVES] else stage
        if stage is not None:
            seconds[stage] += now - last
            last = now
        if found := _EPOCH.match(line):
            waits[found[1]] = float(found[3]) * int(found[2])  # torchreid's mean, and the epoch's steps so far
    if now > last:
        seconds[REST] = now - last
    if waits:
        seconds[_WAIT] = sum(waits.values())
    return dict(seconds)


def run_job(
    checkout: Path, arguments: Sequence[str], until: str | None = None, launcher: Sequence[str] = ()
) -> tuple[float, float, dict[str, float]]:
    """Runs `paul train` of a checkout.

    Args:
        checkout: its folder.
        arguments: of `paul train`, with a config file.
        until: ends the job, by force, after the first line that holds this.
        launcher: what starts the program; () for this Python.

    Returns:
        Seconds, MiB of the process that took the most at its peak, and the seconds of each stage.

    Raises:
        UserError: if it fails; its last lines are printed.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile('w+') as errors:
        program = [*(launcher or [sys.executable]), str(checkout / 'tools' / 'main.py')]
        command = [*program, *arguments, 'data.save_dir', folder]
        start = time.perf_counter()
        job = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, 'PYTHONPATH': str(checkout), 'PYTHONUNBUFFERED': '1'},
        )
        lines, ended = [], False
        for line in job.stdout:
            lines.append((time.perf_counter() - start, line))
            if until is not None and until in line:
                job.kill()
                ended = True
                break
        _, status, used = os.wait4(job.pid, 0)
        seconds = time.perf_counter() - start
        if status and not ended:
            errors.seek(0)
            print(''.join([line for _, line in lines[-10:]] + errors.readlines()[-20:]))
            code = os.waitstatus_to_exitcode(status)
            raise UserError(f'the job in {printable(checkout)} ended with status {code}')
    return seconds, used.ru_maxrss / 1024, seconds_of_stages(lines)


def job_by_stage(
    arguments: Sequence[str], repeats: int, against: str | None = None, until: str | None = None
) -> dict[str, dict]:
    """Times a job, in turn with another checkout's, and prints where the time goes.

    Args:
        arguments: of `paul train`, with a config file.
        repeats: how often each runs; medians are shown.
        against: the folder of another checkout.
        until: as `run_job` takes it.

    Raises:
        UserError: if a job fails; its last lines are printed.
    """
    checkouts = {'this one': Path(__file__).parents[2], **({'the other': Path(against)} if against else {})}
    runs = {name: [] for name in checkouts}
    for _ in range(repeats):
        for name, checkout in checkouts.items():
            runs[name].append(run_job(checkout, arguments, until))
    print(f'\n| the whole job, seconds | {" | ".join(checkouts)} |\n| --- |{" --- |" * len(checkouts)}')
    for stage in dict.fromkeys(stage for found in runs.values() for _, _, stages in found for stage in stages):
        shown = (statistics.median(stages.get(stage, 0.0) for _, _, stages in found) for found in runs.values())
        print(f'| {stage} | {" | ".join(f"{seconds:.1f}" for seconds in shown)} |')
    for place, name in enumerate(('in all', 'peak memory, MiB')):
        shown = (statistics.median(run[place] for run in found) for found in runs.values())
        print(f'| {name} | {" | ".join(f"{number:.1f}" for number in shown)} |', flush=True)
    return {
        name: {'seconds': [run[0] for run in found], 'peak_mib': [run[1] for run in found], 'stages': found[-1][2]}
        for name, found in runs.items()
    }
