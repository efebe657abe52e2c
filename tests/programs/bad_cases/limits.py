"""What takes something from a run: rights, room on the disk, memory, the network."""

import ctypes
import fcntl
import os
import resource
import struct
import subprocess
from pathlib import Path

import pytest
from programs.bad_cases.files import write


def as_another_user(here: Path) -> None:
    """Takes root's right to read and write everything (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH) from this process."""
    header = struct.pack('Ii', 0x20080522, 0)  # version 3 of the interface, this process
    rights = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; each in two halves
    libc = ctypes.CDLL(None)
    libc.capget(header, rights)
    rights[0] &= ~0b110
    libc.capset(header, rights)


def small_files(here: Path) -> None:
    """No file may become larger than a third of a checkpoint. Python ignores the signal, the write fails."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


def little_memory(here: Path) -> None:
    """A quarter of a gigabyte more than the process has."""
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    limit = pages * resource.getpagesize() + (1 << 28)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def read_only(here: Path) -> None:
    (here / 'log').mkdir(mode=0o555)


def another_run(here: Path) -> None:
    """Another run is writing into HERE/log."""
    (here / 'log').mkdir()
    fcntl.flock(os.open(here / 'log/.lock', os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)


def no_network(here: Path) -> None:
    """Nothing answers, and nothing was fetched before."""
    os.environ.update(https_proxy='http://127.0.0.1:9', http_proxy='http://127.0.0.1:9', TORCH_HOME=f'{here}/log/torch')


def full_disk(here: Path) -> None:
    """Mounts a small disk at HERE/log and fills it."""
    (here / 'log').mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', 'size=5m', 'bad_inputs', here / 'log']
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip('this user cannot mount a disk')
    write('log/other', bytes(5 << 20))(here)
