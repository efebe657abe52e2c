"""A meter of a run, lines that are not worth telling, and the bar of a test."""

import io
import sys

import pytest
import torchreid

from paul_plugin.data import images
from paul_plugin.engines.rate import choose_rate
from paul_plugin.engines.watch.signs import CameraSigns
from paul_plugin.host import progress
from paul_plugin.host.data import training_images
from paul_plugin.host.progress import RunMeter, Shown, telling
from paul_plugin.runtime import processes


def test_a_value_that_is_passed_over():
    meter = RunMeter()
    meter.ahead = 1
    meter.update(7)
    assert (meter.count, meter.passes_over) == (0, True)
    meter.update(2)
    meter.update(4)
    assert (meter.avg, meter.passes_over) == (3, False)


def test_torchreid_prints_as_before_afterwards(capsys):
    module = sys.modules[torchreid.engine.Engine.__module__]
    with telling(lambda line: None if line == 'a' else line.upper()):
        module.print('a')
        module.print('b')
    module.print('c', 'd')
    assert capsys.readouterr().out == 'B\nc d\n'


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(('stream', 'shown'), [(Terminal, True), (io.StringIO, False)])
def test_a_test_has_a_bar_on_a_terminal(make_engine, monkeypatch, capsys, stream, shown):
    monkeypatch.setattr(progress, '_SECONDS', 0)
    monkeypatch.setattr(sys, 'stderr', err := stream())
    engine = make_engine()
    loaders = engine.test_loader
    engine.test(dist_metric='cosine')
    assert engine.test_loader is loaders
    for part in ('query', 'gallery'):
        assert (f'{part}: ' in err.getvalue()) == shown


def test_other_long_stages_have_one_too(make_engine, monkeypatch, capsys):
    monkeypatch.setattr(progress, '_SECONDS', 0)
    monkeypatch.setattr(images, '_SECONDS', 0)
    monkeypatch.setattr(sys, 'stderr', err := Terminal())
    engine = make_engine()
    images.check_images(training_images(engine.datamanager))
    CameraSigns().after_filling(engine)
    engine.training_step = lambda data: {'recall': 0.5}
    choose_rate(engine, lambda rate: (engine.optimizer, engine.scheduler), (0.1,))
    for words in ('Looking at images', 'Reading crops for the signs', 'Signs of cameras', 'Trying rate 0.1'):
        assert words in err.getvalue()
    monkeypatch.setenv('RANK', '1')
    before = err.getvalue()
    images.check_images(training_images(engine.datamanager))
    assert err.getvalue() == before


@pytest.mark.parametrize(('first', 'seconds', 'shown'), [(True, 0, True), (False, 0, False), (True, 2, False)])
def test_a_bar_of_the_first_process_that_waits(monkeypatch, first, seconds, shown):
    monkeypatch.setattr(progress, '_SECONDS', seconds)
    monkeypatch.setattr(processes, 'is_first', lambda: first)
    monkeypatch.setattr(sys, 'stderr', err := Terminal())
    assert list(Shown(range(5), 'query')) == [0, 1, 2, 3, 4]
    assert bool(err.getvalue()) == shown
