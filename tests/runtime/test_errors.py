"""Errors of the system that are told apart, as torch words them."""

import errno
import os
import signal
import time
from multiprocessing import synchronize

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from paul_plugin.commands.failures import explain
from paul_plugin.runtime.errors import is_lost_worker, is_out_of_memory, is_shared_memory_full

# As torch 2.x said it in a /dev/shm of 64 KiB, and before it reserved the pages.
FULL = (
    'Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n'
    'RuntimeError: unable to allocate shared memory(shm) for file </torch_20458_1033147572_0>: '
    'No space left on device (28)\n',
    'unable to write to file </torch_123_456>: No space left on device (28)',
    'DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader\'s workers are out of '
    'shared memory. Please try to raise your shared memory limit.',
)  # fmt: skip


class Killing(Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        if index == 40:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.zeros(1)


def error_of(function):
    try:
        function()
    except Exception as error:
        return error


@pytest.mark.parametrize('fetched', ['at once', 'late'])
def test_a_killed_worker_is_told(fetched):
    """Late, it is an error of the connection by which the images were to be fetched."""

    def read():
        for _ in DataLoader(Killing(), batch_size=4, num_workers=2, prefetch_factor=2 if fetched == 'at once' else 16):
            time.sleep(0.1 if fetched == 'at once' else 1)

    error = error_of(read)
    assert is_lost_worker(error)
    assert not is_shared_memory_full(error)
    lines, status = explain(error)
    assert status == 2
    assert len(lines) == 1
    assert all(words in lines[0] for words in ('memory', '/dev/shm', 'lower data.workers', 'model.resume auto'))


@pytest.mark.parametrize('text', FULL)
def test_full_shared_memory_is_told(text):
    lines, status = explain(RuntimeError(text))
    assert is_shared_memory_full(RuntimeError(text))
    assert (len(lines), status) == (1, 2)
    assert all(words in lines[0] for words in ('/dev/shm', '--shm-size', 'data.workers 0'))


def test_no_room_for_a_semaphore(monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(synchronize._multiprocessing, 'SemLock', refuse)
    error = error_of(lambda: list(DataLoader(Killing(), num_workers=1)))
    assert is_shared_memory_full(error)
    assert not is_shared_memory_full(error_of(refuse))  # a file's disk


@pytest.mark.parametrize('error', [RuntimeError('DataLoader worker 0: a bad image'), OSError('exited unexpectedly')])
def test_other_errors_are_none_of_these(error):
    assert not any(tell(error) for tell in (is_lost_worker, is_shared_memory_full, is_out_of_memory))
