"""An environment that torchrun did not make is refused in one line."""

import pytest

from paul_plugin.commands import train
from paul_plugin.commands.failures import explain
from paul_plugin.runtime import launch, processes
from paul_plugin.runtime.errors import UserError

TORCHRUN = {
    'RANK': '1', 'LOCAL_RANK': '1', 'WORLD_SIZE': '2', 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': '29500',
    'TORCHELASTIC_RESTART_COUNT': '0',
}  # fmt: skip


@pytest.fixture(autouse=True)
def torchrun(monkeypatch):
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)


def test_what_torchrun_says():
    assert (launch.number_launched(), launch.local_rank(), launch.attempt()) == (2, 1, 0)
    assert launch.meeting_point() == '127.0.0.1:29500'
    assert not launch.first_of_machine()


@pytest.mark.parametrize(
    ('name', 'value', 'words'),
    [
        ('RANK', 'abc', "RANK='abc', expected a whole number"),
        ('RANK', '-1', "RANK='-1', expected a whole number"),
        ('RANK', '2', 'RANK=2, WORLD_SIZE=2, expected a lower RANK'),
        ('WORLD_SIZE', '', "WORLD_SIZE='', expected a whole number"),
        ('WORLD_SIZE', '\u0662', 'expected a whole number'),
        ('WORLD_SIZE', '0', 'expected a lower RANK'),
        ('MASTER_PORT', 'x', "MASTER_PORT='x', expected a whole number"),
        ('MASTER_ADDR', None, 'has RANK and WORLD_SIZE, but no MASTER_ADDR: start the processes with torchrun'),
        ('MASTER_PORT', None, 'but no MASTER_PORT'),
    ],
)
def test_others_are_refused(monkeypatch, name, value, words):
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=words) as caught, processes.group(use_gpu=False):
        pass
    lines, status = explain(caught.value)
    assert (len(lines), status) == (1, 2)
    assert lines[0].endswith('start the processes with torchrun, or unset RANK and WORLD_SIZE')


def test_a_local_number_that_is_none(monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', 'x')
    assert launch.first_of_machine()  # so that an error is printed
    with pytest.raises(UserError, match="LOCAL_RANK='x'"):
        launch.local_rank()


def test_processes_that_cannot_meet(monkeypatch):
    """The first makes the meeting point, where another program listens."""
    import socket

    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        monkeypatch.setenv('RANK', '0')
        monkeypatch.setenv('MASTER_PORT', str(taken.getsockname()[1]))
        with (
            pytest.raises(UserError, match=r'the processes cannot meet at 127.0.0.1:\d+ \(MASTER_ADDR:MASTER_PORT\): '),
            processes.group(use_gpu=False),
        ):
            pass


def test_the_command_line_says_one_line(monkeypatch, capsys):
    monkeypatch.setenv('RANK', 'abc')
    monkeypatch.delenv('LOCAL_RANK')
    with pytest.raises(SystemExit) as stop:
        train.main([])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("error: the environment says RANK='abc'")


def test_more_processes_than_gpus(monkeypatch):
    monkeypatch.setattr('torch.cuda.device_count', lambda: 1)
    joining = processes.group(use_gpu=True)
    with pytest.raises(UserError, match='process 1 of this machine has no GPU, there are 1: lower --nproc'), joining:
        pass
