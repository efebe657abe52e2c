"""Kills the embedded job at random instants, resumes it each time, and compares its end with an undisturbed run's.

A program, and a short form of it is a test:

    python tests/kill_and_resume.py --kills 40
"""

import argparse
import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch

from paul_plugin import job  # imported once: every run is a fork of this process

PROJECT = Path(__file__).parents[1]


def words(root: Path, log: Path, *extra: str) -> list[str]:
    """The command line of a small embedded job that saves a checkpoint after every step and tests often."""
    pretrain = [
        'train.max_epoch', 2, 'train.batch_size', 16, 'test.eval_freq', 1,
        'paul.supervised.schedule.heads', [[0, 1e-3]], 'paul.supervised.schedule.backbone', [[0, 1e-3]],
        'paul.supervised.schedule.pgn', [[0, 0.0], [1, 1e-5]],
    ]  # fmt: skip
    return [
        '--config-file', str(PROJECT / 'configs/paul_synthetic.yaml'), '--root', str(root),
        'data.save_dir', str(log), 'data.workers', '2', 'model.resume', 'auto', 'use_gpu', 'False',
        'paul.synthetic.train_ids', '12', 'paul.synthetic.test_ids', '4', 'paul.synthetic.images_per_id', '6',
        'paul.k', '3', 'train.batch_size', '12', 'train.max_epoch', '4', 'train.stepsize', '[2]',
        'train.checkpoint_minutes', '0', 'train.print_freq', '2', 'test.eval_freq', '2',
        'paul.pretrain.opts', str(pretrain), *extra,
    ]  # fmt: skip


def run(argv: list[str], output: Path, errors: Path) -> None:
    """The job, in a process of its own."""
    os.setsid()  # its workers die with it
    with open(output, 'a', buffering=1) as out, open(errors, 'a', buffering=1) as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            job.main(argv)


def start(argv: list[str], output: Path, errors: Path | None = None, before=lambda: None) -> multiprocessing.Process:
    """Forks a process that calls `before` and runs the job; both streams go to `output` where there is no `errors`."""

    def target() -> None:
        before()
        run(argv, output, errors or output)

    process = multiprocessing.get_context('fork').Process(target=target)
    process.start()
    return process


def kill(process: multiprocessing.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.join()


def unreadable(log: Path) -> list[str]:
    """Checkpoints under a final name that torch cannot read as data."""
    bad = []
    for path in log.rglob('*.pth.tar*'):
        if not path.name.startswith('.'):
            try:
                torch.load(path, weights_only=True)
            except Exception as error:
                bad.append(f'{path}: {error}')
    return bad


def bytes_of(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous().view(-1).view(torch.uint8)


def differences(ours, theirs, where: str = '') -> list[str]:
    """Where two nested structures of tensors and numbers are not the same to the bit."""
    if isinstance(ours, torch.Tensor):
        same = ours.dtype == theirs.dtype and ours.shape == theirs.shape and bytes_of(ours).equal(bytes_of(theirs))
        return [] if same else [where]
    if isinstance(ours, dict):
        if ours.keys() != theirs.keys():
            return [f'{where}: keys']
        return [found for key in ours for found in differences(ours[key], theirs[key], f'{where}.{key}')]
    if isinstance(ours, (list, tuple)):
        if len(ours) != len(theirs):
            return [f'{where}: length']
        return [found for i, pair in enumerate(zip(ours, theirs)) for found in differences(*pair, f'{where}[{i}]')]
    return [] if ours == theirs else [where]


def compare(log: Path, other: Path) -> list[str]:
    """Where the final checkpoints, losses and results of two runs differ."""
    found = []
    for name in ('model/model.pth.tar-4', 'pretrain/model/model.pth.tar-2', 'pretrained.pth.tar'):
        ours, theirs = (torch.load(folder / name, weights_only=True) for folder in (log, other))
        for state in (ours, theirs):
            state.pop('config', None)  # it names the folder
        found += differences(ours, theirs, name)
    for name in ('history.json', 'pretrain/history.json', 'results.json'):
        if (log / name).read_bytes() != (other / name).read_bytes():
            found.append(name)
    return found


def saving(log: Path) -> bool:
    return any(log.glob('model/.model*')) or any(log.glob('pretrain/model/.model*'))


def disturbed(argv: list[str], log: Path, output: Path, kills: int, seconds: float, generator: random.Random) -> int:
    """Kills the job so many times, every third time during a save; lets it end; returns how many were in a save."""
    in_save = 0
    for number in range(kills):
        process = start(argv, output)
        time.sleep(generator.uniform(0.05, seconds))
        if number % 3 == 0:
            until = time.monotonic() + 5
            while process.is_alive() and not saving(log) and time.monotonic() < until:
                pass
        in_save += saving(log)
        ended = not process.is_alive()
        kill(process)
        if unreadable(log):
            sys.exit(f'unreadable under a final name: {unreadable(log)}')
        if ended:
            print(f'kill {number + 1} came after the end: {process.exitcode}')
    process = start(argv, output)
    process.join()
    if process.exitcode:
        sys.exit(f'the resumed job ended with status {process.exitcode}: {output}')
    return in_save


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=40)
    parser.add_argument('--seconds', type=float, default=0, help='longest life of a run; 0: as the kills need it')
    parser.add_argument('--seed', type=int, default=0, help='of the instants')
    options = parser.parse_args()
    generator = random.Random(options.seed)
    folder = Path(tempfile.mkdtemp())
    output = folder / 'output.txt'
    undisturbed, log = folder / 'undisturbed', folder / 'killed'

    begin = time.monotonic()
    process = start(words(folder, undisturbed), output)
    process.join()
    whole = time.monotonic() - begin
    if process.exitcode:
        sys.exit(f'the undisturbed job ended with status {process.exitcode}:\n{output.read_text()[-2000:]}')
    seconds = options.seconds or 0.5 + 2 * whole / options.kills
    in_save = disturbed(words(folder, log), log, output, options.kills, seconds, generator)
    found = compare(log, undisturbed)
    resumed = output.read_text().count('Going on from')
    print(
        f'undisturbed run {whole:.1f} s; {options.kills} kills, {in_save} during a save, {resumed} resumed from a '
        f'checkpoint; differences at the end: {found or "none"}'
    )
    if found:
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == '__main__':
    main()
