"""One process or two, the same run: losses, bank, distances and checkpoints; and a process that is killed."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from distributed_runs import CASES, largest_difference, render, train
from kill_and_resume import differences

PROJECT = Path(__file__).parents[1]
LIMIT = 1e-9  # float64


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return render(tmp_path_factory.mktemp('distributed'))


@pytest.fixture(scope='module')
def alone(root):
    """What one process finds, by case; each is run once."""
    found = {}

    def run(case):
        if case not in found:
            found[case] = train(1, root / f'alone {case}', root=root, epochs=3, options=CASES[case])
        return found[case]

    return run


@pytest.mark.parametrize('case', ['replicated bank', 'bank in shards', 'centroids in shards'])
def test_two_processes_are_as_one(root, alone, case):
    found = train(2, root / f'two {case}', root=root, epochs=3, options=CASES[case])
    expected = alone(case.replace('bank in shards', 'replicated bank'))
    assert len(found['losses']) == 9
    assert max(largest_difference(found, expected).values()) < LIMIT
    assert found['results'] == expected['results']


def test_the_test_is_split_without_a_change(root):
    """Of the same weights, the distances are the same to the bit: rows and columns in the same order."""
    one, two = (train(world, root / f'test {world}', root=root, epochs=1, lr=0.0) for world in (1, 2))
    assert len(one['distances']) == 1
    assert one['distances'][0].equal(two['distances'][0])
    assert one['results'] == two['results']


@pytest.mark.parametrize(('before', 'after'), [(2, 1), (1, 2)])
def test_another_number_of_processes_goes_on(root, alone, before, after):
    """Stopped in the middle of the second epoch, with the bank in shards."""
    folder, run = root / f'{before} to {after}', {'root': root, 'epochs': 3, 'options': CASES['bank in shards']}
    train(before, folder, stop_after=4, **run)
    assert (folder / 'model/model.pth.tar-1-1').exists()
    found = train(after, folder, resume=True, **run)
    assert max(largest_difference(found, alone('replicated bank')).values()) < LIMIT


def torchrun(root, log, *words, restarts=0):
    return subprocess.Popen(
        [
            'timeout', '-k', '5', '100', sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node', '2', '--max-restarts', str(restarts),
            '--rdzv-backend', 'c10d', '--rdzv-endpoint', 'localhost:0',
            PROJECT / 'tools/main.py', '--config-file', PROJECT / 'configs/paul_synthetic.yaml', '--root', root,
            'data.save_dir', log, 'data.workers', '0', 'use_gpu', 'False', 'paul.pretrain.config', '', 'paul.k', '3',
            'paul.synthetic.train_ids', '9', 'paul.synthetic.test_ids', '5', 'paul.synthetic.images_per_id', '6',
            'train.seed', '5', 'train.batch_size', '16', 'train.max_epoch', '3', 'train.print_freq', '1',
            'train.checkpoint_minutes', '0', 'data.height', '64', 'data.width', '48', *words,
        ],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )  # fmt: skip


def kill_one_process(log):
    """Kills the newest of the job's processes, found by the folder in its command line."""
    found = []
    for path in Path('/proc').glob('[0-9]*/cmdline'):
        with contextlib.suppress(OSError):  # it ended meanwhile
            words = path.read_bytes().split(b'\0')
            if str(log).encode() in words and b'torch.distributed.run' not in words:
                found.append(int(path.parent.name))
    os.kill(max(found), signal.SIGKILL)


def test_torchrun_goes_on_after_a_process_was_killed(root, tmp_path):
    """Killed in the second epoch; torchrun starts both again, and the end is that of an undisturbed run."""
    states = []
    for disturbed in (False, True):
        log = tmp_path / str(disturbed)
        process = torchrun(root, log, restarts=3 if disturbed else 0)
        lines, killed = [], False
        for line in process.stdout:
            lines.append(line)
            if disturbed and not killed and line.startswith('epoch: [2/3][2/3]'):
                kill_one_process(log)
                killed = True
        assert process.wait(60) == 0, ''.join(lines)
        assert killed == disturbed
        text = ''.join(lines)
        assert text.count('Going on from') == disturbed
        assert text.count('=> Final test') == 1  # one process prints
        states.append(torch.load(log / 'model/model.pth.tar-3', weights_only=True))
        states[-1].pop('config')
        states.append((log / 'results.json').read_text())
    assert differences(states[2], states[0]) == []
    assert states[3] == states[1]


def test_without_restarts_a_death_ends_the_job_in_words(root, tmp_path):
    process = torchrun(root, tmp_path / 'log')
    begin = None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if begin is None and line.startswith('epoch: [1/3][2/3]'):
            kill_one_process(tmp_path / 'log')
            begin = time.monotonic()
    assert process.wait(60) == 1
    assert time.monotonic() - begin < 30
    assert re.search('has lost another process of this run: go on with model.resume auto', ''.join(lines))


def test_a_batch_that_cannot_be_shared_is_refused(root, tmp_path):
    process = torchrun(root, tmp_path / 'log', 'train.batch_size', '9')
    text = process.communicate(timeout=60)[0]
    assert process.returncode != 0
    assert text.count('train.batch_size = 9: is shared by 2 processes: it must be a multiple of 2') == 1
