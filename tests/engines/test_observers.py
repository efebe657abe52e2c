"""Observers are called where they say, from the start to each epoch, and go on from their own state."""

from helpers.crashes import RUN

from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.engines.watch.observer import Observer


class Diary(Observer):
    def __init__(self, key=''):
        self.key, self.lines = key, []

    def state_dict(self):
        return {'lines': [list(line) for line in self.lines]}

    def load_state_dict(self, state):
        self.lines = [tuple(line) for line in state['lines']] if state else ['no state']

    def at_start(self, engine):
        self.lines.append(('start', bool(engine.memory.filled.any())))

    def after_filling(self, engine):
        self.lines.append(('filled', bool(engine.memory.filled.all())))

    def after_step(self, engine, summary):
        self.lines.append((*engine.done, *sorted(summary)))

    def after_epoch(self, engine):
        self.lines.append(('epoch', engine.history[-1]['epoch']))

    def after_recording(self, engine):
        self.lines.append(('all recorded', engine.observers[-1].lines[-1]))


def test_calls_of_a_run_and_of_one_that_goes_on(make_idle_engine, tmp_path):
    engine = make_idle_engine()
    engine.observers.append(diary := Diary())
    engine.run(save_dir=str(tmp_path), **RUN)
    steps = len(engine.datamanager.train_loader)
    expected = [('start', False)]
    expected += [('all recorded', expected[-1]), ('filled', True)]
    expected += [('all recorded', expected[-1])]
    for epoch in range(2):
        numbers = [(epoch, step) for step in range(1, steps + 1)]
        expected += [(*number, 'loss', 'recall') for number in numbers]
        expected += [('epoch', epoch + 1), ('all recorded', ('epoch', epoch + 1))]
    assert diary.lines == expected

    again = make_idle_engine()
    again.observers.append(rest := Diary())
    checkpoint = read_checkpoint(tmp_path / 'model/model.pth.tar-1-2')
    again.run(save_dir=str(tmp_path / 'again'), start_epoch=again.resume(checkpoint), **RUN)
    assert rest.lines == expected[expected.index(('epoch', 1)) + 4 :]


def test_an_observer_goes_on_from_its_own_state(make_idle_engine, tmp_path):
    engine = make_idle_engine()
    engine.observers += [diary := Diary('diary'), Diary()]
    engine.run(save_dir=str(tmp_path), **RUN)
    checkpoint = read_checkpoint(tmp_path / 'model/model.pth.tar-1-2')
    again = make_idle_engine()
    again.observers += [rest := Diary('diary'), stranger := Diary('stranger'), Diary()]
    again.run(save_dir=str(tmp_path / 'again'), start_epoch=again.resume(checkpoint), **RUN)
    assert rest.lines == diary.lines
    assert stranger.lines[0] == 'no state'
    final = read_checkpoint(tmp_path / 'again/model/model.pth.tar-2')
    assert {'diary', 'stranger'} <= final.keys()
    assert '' not in final
