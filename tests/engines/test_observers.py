"""Observers are called where they say: at the start, after the filling, after each step and epoch."""

from helpers.crashes import RUN

from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.engines.observers import Observer


class Diary(Observer):
    def __init__(self):
        self.lines = []

    def at_start(self, engine):
        self.lines.append(('start', bool(engine.memory.filled.any())))

    def after_filling(self, engine):
        self.lines.append(('filled', bool(engine.memory.filled.all())))

    def after_step(self, engine, summary):
        self.lines.append((*engine.done, *sorted(summary)))

    def after_epoch(self, engine):
        self.lines.append(('epoch', engine.history[-1]['epoch']))


def test_calls_of_a_run_and_of_one_that_goes_on(make_idle_engine, tmp_path):
    engine = make_idle_engine()
    engine.observers.append(diary := Diary())
    engine.run(save_dir=str(tmp_path), **RUN)
    steps = len(engine.datamanager.train_loader)
    expected = [('start', False), ('filled', True)]
    for epoch in range(2):
        numbers = [(epoch, step) for step in range(1, steps + 1)]
        expected += [(*number, 'loss', 'recall') for number in numbers]
        expected += [('epoch', epoch + 1)]
    assert diary.lines == expected

    again = make_idle_engine()
    again.observers.append(rest := Diary())
    checkpoint = read_checkpoint(tmp_path / 'model/model.pth.tar-1-2')
    again.run(save_dir=str(tmp_path / 'again'), start_epoch=again.resume(checkpoint), **RUN)
    assert rest.lines == expected[expected.index(('epoch', 1)) + 3 :]
