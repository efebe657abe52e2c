"""The lines that an engine prints as it trains: one an epoch at least, the time that is left, no test without one."""

import json
import math
import sys

import pytest
import torchreid
from helpers.crashes import RUN as TWO

from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.host.progress import FINAL_TEST

STEPS = 4  # of an epoch of the engine
RUN = {**TWO, 'max_epoch': 3}


def lines_of(out):
    return [line for line in out.splitlines() if line.startswith('epoch: ')]


def seconds_left(line):
    hours, minutes, seconds = map(int, line.split('eta ')[1].split('\t')[0].split(':'))
    return 3600 * hours + 60 * minutes + seconds


@pytest.fixture
def slow(monkeypatch):
    """A clock for torchreid's loop on which a step's time is what the test says: the next of these seconds."""

    def slow(engine, seconds):
        now = [0.0]
        waits = iter(seconds)
        step = engine.forward_backward

        def timed(data):
            summary = step(data)
            if data is not None:
                now[0] += next(waits)
            return summary

        engine.forward_backward = timed
        module = sys.modules[torchreid.engine.Engine.__module__]
        monkeypatch.setattr(module, 'time', type('Clock', (), {'time': staticmethod(lambda: now[0])}))

    return slow


def test_an_epoch_shorter_than_print_freq_has_a_line(make_idle_engine, tmp_path, capsys):
    make_idle_engine(minutes=math.inf).run(save_dir=str(tmp_path), **RUN | {'print_freq': 20})
    lines = lines_of(capsys.readouterr().out)
    assert [line.split('\t')[0] for line in lines] == [f'epoch: [{epoch}/3][{STEPS}/{STEPS}]' for epoch in (1, 2, 3)]


def test_the_time_that_is_left_is_an_average_over_the_run(make_idle_engine, slow, tmp_path, capsys):
    engine = make_idle_engine(minutes=math.inf)
    slow(engine, [100] * STEPS + [10] * 2 * STEPS + [1] * 3 * STEPS)
    engine.run(save_dir=str(tmp_path), **RUN)
    lines = lines_of(capsys.readouterr().out)
    left = [seconds_left(line) for line in lines]
    assert left[:STEPS] == [1100, 1000, 900, 800]
    assert left[STEPS] == (4 * 100 + 10) * 7 // 5  # torchreid's own would be 70
    assert left[-2] == (4 * 100 + 7 * 10) // 11
    # Another run of the same engine begins anew.
    engine.run(save_dir=str(tmp_path / 'again'), **RUN)
    assert seconds_left(lines_of(capsys.readouterr().out)[0]) == 3 * STEPS - 1
    assert len(list((tmp_path / 'again').glob('events.*'))) == 1
    assert [entry['epoch'] for entry in json.loads((tmp_path / 'again/history.json').read_text())] == [1, 2, 3]


def test_steps_that_a_resumed_run_passes_over_are_not_timed(make_idle_engine, slow, tmp_path, capsys):
    make_idle_engine().run(save_dir=str(tmp_path), **RUN)
    undisturbed = lines_of(capsys.readouterr().out)
    engine = make_idle_engine(minutes=math.inf)
    slow(engine, [10] * (2 + STEPS))
    start = engine.resume(read_checkpoint(tmp_path / 'model/model.pth.tar-1-2'))
    engine.run(save_dir=str(tmp_path / 'again'), start_epoch=start, **RUN)
    lines = lines_of(capsys.readouterr().out)
    assert [seconds_left(line) for line in lines[2:]] == [50, 40, 30, 20, 10, 0]
    told = [line.partition('\tloss ')[::2] for line in lines]
    assert [place for place, _ in told[:2]] == ['epoch: [2/3][1/4]', 'epoch: [2/3][2/4]']
    assert [losses for _, losses in told] == [line.partition('\tloss ')[2] for line in undisturbed[STEPS:]]


def test_no_final_test_is_announced_without_one(make_idle_engine, tmp_path, capsys):
    engine = make_idle_engine()
    loaders, engine.test_loader = engine.datamanager.test_loader, {}
    engine.run(save_dir=str(tmp_path), max_epoch=1)
    out = capsys.readouterr().out
    assert FINAL_TEST not in out
    assert 'Elapsed' in out
    assert (tmp_path / 'model/model.pth.tar-1').exists()
    engine.test_loader = loaders
    engine.run(save_dir=str(tmp_path / 'tested'), max_epoch=1)
    assert capsys.readouterr().out.count(FINAL_TEST) == 1
