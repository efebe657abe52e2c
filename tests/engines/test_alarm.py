"""The alarm sounds once an epoch when bank recall falls below its share, and survives a resume."""

from statistics import fmean
from types import SimpleNamespace

import pytest

from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.engines.watch.alarm import SHARE, STEPS, RecallAlarm
from paul_plugin.runtime.errors import UserError

HIGH, LOW = 0.8, 0.1
# Falls in the first epoch, recovers in the second, falls again in the third; 4 steps an epoch.
RECALL = [HIGH] * 3 + [LOW] * 3 + [HIGH] * 3 + [LOW] * 3
RUN = {'max_epoch': 3, 'print_freq': 9}
SOUNDS = ['epoch 2, step 1', 'epoch 3, step 3']


@pytest.fixture
def make_forgetful_engine(make_idle_engine):
    """Makes an engine that trains nothing, and whose recall is what the test says, from a step on."""

    def make(done=0, **options):
        engine = make_idle_engine(**options)
        values = iter(RECALL[done:])
        engine.training_step = lambda batch: {'loss': 0.0, 'recall': next(values)}
        return engine

    return make


def warnings(capsys):
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith('warning: epoch')]


def test_it_sounds_once_an_epoch_and_where_an_undisturbed_run_sounds(make_forgetful_engine, tmp_path, capsys):
    first = next(n for n in range(STEPS, len(RECALL)) if fmean(RECALL[n - STEPS + 1 : n + 1]) < SHARE * HIGH)
    assert divmod(first, 4) == (1, 0)  # the step that SOUNDS names
    make_forgetful_engine().run(save_dir=str(tmp_path), **RUN)
    said = warnings(capsys)
    assert [line.split(': ')[1] for line in said] == SOUNDS
    assert 'from 0.80 at the start to 0.33' in said[0]
    assert 'set train.lr 0.003 instead of 0.01, or train.lr auto' in said[0]
    # Within an epoch, before and after a warning, and between epochs.
    for name, done, sounds in (('1-0', 4, SOUNDS), ('1-1', 5, SOUNDS[1:]), ('2-2', 10, SOUNDS[1:])):
        path = tmp_path / 'model' / f'model.pth.tar-{name}'
        path = path if path.exists() else tmp_path / 'model' / f'model.pth.tar-{name[0]}'
        again = make_forgetful_engine(done)
        again.run(save_dir=str(tmp_path / name), start_epoch=again.resume(read_checkpoint(path)), **RUN)
        assert [line.split(': ')[1] for line in warnings(capsys)] == sounds


def test_a_second_fall_within_an_epoch_is_not_told(capsys):
    alarm = RecallAlarm()
    alarm.after_filling(None)
    for step, recall in enumerate([HIGH] * 3 + [LOW] * 3 + [HIGH] * 3 + [LOW] * 3, 1):
        alarm.after_step(SimpleNamespace(done=(0, step), get_current_lr=lambda: 0.01), {'recall': recall})
    assert [line.split(': ')[1] for line in warnings(capsys)] == ['epoch 1, step 5']


def test_recall_that_is_0_from_the_start(capsys):
    """As of crops that are one grey: nothing can fall, and yet nothing is well; once an epoch, until it rises."""
    alarm = RecallAlarm()
    alarm.after_filling(None)
    engine = SimpleNamespace(get_current_lr=lambda: 0.01)
    for number, recall in enumerate([0.0] * 6 + [0.5] * 3):
        engine.done = divmod(number + 1, 4)
        alarm.after_step(engine, {'recall': recall})
    said = warnings(capsys)
    assert [line.split(': ')[1] for line in said] == ['epoch 1, step 3', 'epoch 2, step 1']
    assert all('bank recall is 0.00 from the start: ' in line and 'train.lr' not in line for line in said)
    stops = RecallAlarm('stop')
    stops.after_filling(None)
    stops.first = stops.last = [0.0] * STEPS
    engine.done, engine.folder = (0, STEPS), None
    with pytest.raises(UserError, match='recall is 0.00 from the start: .*, and start anew$'):
        stops.after_step(engine, {'recall': 0.0})


def test_stop_ends_the_run_after_a_checkpoint(make_forgetful_engine, tmp_path):
    engine = make_forgetful_engine(recall_guard='stop')
    engine.checkpoint_minutes = 99
    words = r'epoch 2, step 1: .* train.lr auto, and .*; the last checkpoint is .*model.pth.tar-1-1, .*paul.guard'
    with pytest.raises(UserError, match=words):
        engine.run(save_dir=str(tmp_path), **RUN)
    saved = read_checkpoint(tmp_path / 'model/model.pth.tar-1-1')
    assert saved['alarm'] == {'first': [HIGH] * 3, 'last': [HIGH, LOW, LOW], 'sounded': False}


def test_states_and_words_that_are_none():
    with pytest.raises(ValueError, match="recall_guard must be one of warn, stop, got 'shout'"):
        RecallAlarm('shout')
    alarm = RecallAlarm()
    with pytest.raises(ValueError, match='alarm holds something else'):
        alarm.load_state_dict({'first': ['high'], 'last': [], 'sounded': False})
    alarm.load_state_dict(None)  # of a version without an alarm: the first steps are not known
    alarm.after_step(None, {'recall': 0.0})
    assert alarm.state_dict() == {'first': None, 'last': [], 'sounded': False}
