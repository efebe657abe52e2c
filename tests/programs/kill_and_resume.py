"""Kills the embedded job at random instants, resumes it each time, and compares its end with an undisturbed run's.

A program, and a short form of it is a test:

    python tests/programs/kill_and_resume.py --kills 40
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

# Every run is a fork of a server that has imported everything once and computed nothing.
FORKS = multiprocessing.get_context('forkserver')
FORKS.set_forkserver_preload(['paul_plugin.commands.train', 'paul_plugin.run.stages', 'torch._dynamo'])
PROJECT = Path(__file__).parents[2]


def words(root: Path, log: Path, *extra: str) -> list[str]:
    """The command line of a small embedded job that saves a checkpoint after every step and tests often."""
    pretrain = [
        'train.max_epoch', 2, 'train.batch_size', 18, 'test.eval_freq', 1,
        'paul.supervised.schedule.heads', [[0, 1e-3]], 'paul.supervised.schedule.backbone', [[0, 1e-3]],
        'paul.supervised.schedule.pgn', [[0, 0.0], [1, 1e-5]],
    ]  # fmt: skip
    return [
        '--config-file', str(PROJECT / 'configs/paul_synthetic.yaml'), '--root', str(root),
        'data.save_dir', str(log), 'data.workers', '2', 'model.resume', 'auto', 'use_gpu', 'False',
        'data.height', '48', 'data.width', '48',
        'paul.synthetic.train_ids', '9', 'paul.synthetic.test_ids', '4', 'paul.synthetic.images_per_id', '6',
        'paul.k', '3', 'paul.keep', 'best', 'train.batch_size', '12', 'train.max_epoch', '2', 'train.stepsize', '[1]',
        'train.checkpoint_minutes', '0', 'train.print_freq', '2', 'test.eval_freq', '1',
        'paul.pretrain.opts', str(pretrain), *extra,
    ]  # fmt: skip


def run(argv: list[str], output: Path, errors: Path) -> None:
    """The job, in a process of its own."""
    from paul_plugin.commands import train  # the server has it; this program needs it for nothing else

    os.setsid()  # its workers die with it
    with open(output, 'a', buffering=1) as out, open(errors, 'a', buffering=1) as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            train.main(argv)


def start(argv: list[str], output: Path) -> multiprocessing.Process:
    process = FORKS.Process(target=run, args=(argv, output, output))
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
    for name in ('model/model.pth.tar-2', 'pretrain/model/model.pth.tar-2', 'pretrained.pth.tar'):
        ours, theirs = (torch.load(folder / name, weights_only=True) for folder in (log, other))
        for state in (ours, theirs):
            state.pop('config', None)  # it names the folder
        found += differences(ours, theirs, name)
    kept = [torch.load(folder / 'model/kept.pth.tar', weights_only=True) for folder in (log, other)]
    found += differences(*([of['epoch'], of['state_dict']] for of in kept), 'kept')
    for name in ('history.json', 'pretrain/history.json', 'results.json', 'signs.json'):
        if (log / name).read_bytes() != (other / name).read_bytes():
            found.append(name)
    for name in ('config.yaml', 'pretrain/config.yaml'):
        if config_in(log / name) != config_in(other / name):
            found.append(name)
    return found


def config_in(path: Path) -> list[str]:
    """The lines of a run's configuration, but for the folder that it names and the workers that may change."""
    return [line for line in path.read_text().splitlines() if not line.startswith(('  save_dir: ', '  workers: '))]


def saved(log: Path) -> bool:
    return any(log.rglob('model.pth.tar-*'))


def saving(log: Path) -> bool:
    return any(log.glob('model/.model*')) or any(log.glob('pretrain/model/.model*'))


class Disturbed:
    """Runs the job again and again, killing it, and compares each end with the undisturbed one.

    Args:
        folder: root of the data and of the runs.
        undisturbed: `data.save_dir` of the undisturbed run.
        seconds: longest life of a run.
        seed: of the instants.
    """

    def __init__(self, folder: Path, undisturbed: Path, seconds: float, seed: int) -> None:
        self.folder = folder
        self.undisturbed = undisturbed
        self.seconds = seconds
        self.random = random.Random(seed)
        self.log = folder / 'killed'
        self.output = folder / 'output.txt'
        self.in_save = self.ends = 0

    def start(self) -> multiprocessing.Process:
        workers = self.random.choice('02')  # their number may change from life to life
        return start(words(self.folder, self.log, 'data.workers', workers), self.output)

    def end(self, process: multiprocessing.Process) -> None:
        """Compares a run that came to its end, and makes room for the next one."""
        process.join()
        if process.exitcode:
            sys.exit(f'a resumed job ended with status {process.exitcode}:\n{self.output.read_text()[-3000:]}')
        found = compare(self.log, self.undisturbed)
        if found:
            sys.exit(f'differences at the end: {found}, see {self.folder}')
        self.ends += 1
        shutil.rmtree(self.log)

    def kill_once(self, in_save: bool, after_save: bool) -> bool:
        """Starts the job and kills it at a random instant, or in its next save; False if it was faster.

        With `after_save` the instant is counted from when there is a checkpoint, from which the next life goes on.
        """
        process = self.start()
        while after_save and process.is_alive() and not saved(self.log):
            time.sleep(0.01)
        process.join(self.random.uniform(0.05, self.seconds))
        while in_save and process.is_alive() and not saving(self.log):
            time.sleep(0.001)  # a save takes some 20 ms
        if not process.is_alive():
            self.end(process)
            return False
        kill(process)
        self.in_save += saving(self.log)
        bad = unreadable(self.log)
        if bad:
            sys.exit(f'unreadable under a final name: {bad}')
        return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=40)
    parser.add_argument('--seconds', type=float, default=4, help='longest life of a run')
    parser.add_argument('--seed', type=int, default=0, help='of the instants')
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    undisturbed = folder / 'undisturbed'
    begin = time.monotonic()
    process = start(words(folder, undisturbed), folder / 'output.txt')
    process.join()
    if process.exitcode:
        sys.exit(f'the undisturbed job ended with status {process.exitcode}: {folder}')
    print(f'undisturbed run: {time.monotonic() - begin:.1f} s')

    disturbed = Disturbed(folder, undisturbed, options.seconds, options.seed)
    kills = 0
    while kills < options.kills:
        kills += disturbed.kill_once(in_save=kills % 3 == 0, after_save=kills % 2 == 1)
    disturbed.end(disturbed.start())
    resumed = disturbed.output.read_text().count('Going on from')
    print(
        f'{kills} kills, {disturbed.in_save} of them during a save; {resumed} starts from a checkpoint; '
        f'{disturbed.ends} runs came to their end, each with the bytes of the undisturbed one; '
        'no unreadable checkpoint under a final name'
    )
    shutil.rmtree(folder)


if __name__ == '__main__':
    main()
