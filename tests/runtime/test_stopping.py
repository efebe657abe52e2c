"""What asks a run to stop, and that the second signal ends it whatever it waits for."""

import os
import signal
import socket
import time

import pytest
from helpers.forks import Fork

from paul_plugin.runtime import stopping

START = 'import os, signal, sys, time, torch\nfrom paul_plugin.runtime import processes, stopping\n'
LAUNCHED = START + "os.environ |= dict(word.split('=') for word in sys.argv[1:])\n"
BARRIER = LAUNCHED + (
    'with stopping.stop_signals(), processes.group(False):\n'
    "    print('ready', flush=True)\n"
    "    if processes.rank() == 1: time.sleep(60)\n"
    '    torch.distributed.barrier()\n'
)
WORKER = START + (
    'from torch.utils.data import DataLoader\n'
    'with stopping.stop_signals():\n'
    '    loader = iter(DataLoader(range(100), num_workers=1))\n'
    '    next(loader)\n'
    "    if len(sys.argv) > 1: os.kill(loader._workers[0].pid, signal.SIGTERM); loader._workers[0].join()\n"
    "    print('ready', loader._workers[0].pid, flush=True)\n"
    '    time.sleep(60)\n'
)


def launched(rank: int, port: int) -> list[str]:
    names = {'RANK': rank, 'LOCAL_RANK': rank, 'WORLD_SIZE': 2, 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': port}
    return [f'{name}={value}' for name, value in names.items()]


def gone(process: int) -> bool:
    for _ in range(100):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def send_twice(process: Fork, number: int, pause: float) -> str:
    """Returns what it wrote to the error stream."""
    process.send_signal(number)
    time.sleep(pause)
    assert process.poll() is None  # asked once, it waits on
    process.send_signal(number)
    told = process.stderr.read()
    process.wait(20)
    return told


def test_the_second_signal_ends_a_process_that_waits_for_another(port):
    """In a call of C++, during which Python calls no handler. torchrun's echo of the first does not count."""
    waiting, other = (Fork(BARRIER, *launched(rank, port)) for rank in range(2))
    try:
        assert (waiting.stdout.readline(), other.stdout.readline()) == ('ready\n', 'ready\n')
        time.sleep(0.5)
        waiting.send_signal(signal.SIGTERM)
        told = send_twice(waiting, signal.SIGTERM, stopping._SECONDS_OF_ECHO + 0.5)
        assert waiting.poll() == 128 + signal.SIGTERM
        assert told.count('stopping at the next safe place; once more stops at once\n') == 1
        assert told.endswith('stopped at once\n')
    finally:
        for process in (waiting, other):
            process.kill()


def test_workers_are_ended_too():
    process = Fork(WORKER)
    worker = int(process.stdout.readline().split()[1])
    send_twice(process, signal.SIGTERM, 0.3)
    assert gone(worker)


def test_a_signal_to_a_worker_is_none_to_its_parent():
    process = Fork(WORKER, 'signal')
    assert process.stdout.readline().startswith('ready')
    process.kill()
    assert process.stderr.read() == ''


def test_the_first_cause_counts():
    with stopping.stop_signals():
        stopping.check()
        stopping.request('the log, which takes no more', 2)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping.requested()
        with pytest.raises(stopping.Stopped, match='stopped by the log, which takes no more') as stop:
            stopping.check_together()
    assert stop.value.status == 2
    assert not stopping.requested()


@pytest.fixture
def hangup_heard():
    """SIGHUP as a terminal leaves it: under nohup the tests have been told to ignore it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_closed_terminal_stops_as_a_signal_does(hangup_heard, capfd):
    before = [signal.getsignal(number) for number in stopping.SIGNALS]
    with stopping.stop_signals():
        os.kill(os.getpid(), signal.SIGHUP)
        with pytest.raises(stopping.Stopped, match='stopped by SIGHUP') as stop:
            stopping.check()
    assert stop.value.status == 129
    assert 'stopping at the next safe place' in capfd.readouterr().err
    assert [signal.getsignal(number) for number in stopping.SIGNALS] == before


def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping.stop_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stopping.requested()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_closed_error_stream_does_not_break_in():
    text = START + (
        'os.close(2)\n'
        'with stopping.stop_signals():\n'
        '    os.kill(os.getpid(), signal.SIGTERM)\n'
        '    time.sleep(0.2)\n'
        '    print(stopping.requested(), flush=True)\n'
        '    os._exit(0)\n'
    )
    process = Fork(text)
    assert process.stdout.read() == 'True\n'
    assert process.wait() == 0


def test_all_processes_stop_where_one_was_asked_to(monkeypatch):
    monkeypatch.setattr('paul_plugin.runtime.processes.any_of', lambda asked: True)
    with stopping.stop_signals(), pytest.raises(stopping.Stopped, match='by another process of this run') as stop:
        stopping.check_together()
    assert stop.value.status == 128 + signal.SIGTERM
