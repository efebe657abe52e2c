"""The rate that fits: the largest healthy one, and a run with it is one that was given it."""

import pytest
from programs.kill_and_resume import differences
from torchreid import optim

from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.engines import rate
from paul_plugin.engines.rate import choose_rate
from paul_plugin.engines.watch.observer import Observer

TAKEN = 0.003
RUN = {'max_epoch': 1, 'print_freq': 9}


def chosen(engine, ladder):
    def build(lr):
        optimizer = optim.build_optimizer(engine.model, optim='sgd', lr=lr, weight_decay=1e-4)
        return optimizer, optim.build_lr_scheduler(optimizer, stepsize=50)

    return choose_rate(engine, build, ladder)


def counted(engine):
    """A list that tells when the engine fills its bank, and when it tells observers of a filled one."""
    fill, fills = engine.fill_memory, []
    engine.fill_memory = lambda: (fills.append(1), fill())
    engine.observers.append(observer := Observer())
    observer.after_filling = lambda engine: fills.append('told')
    return fills


def test_the_run_with_it_ends_with_the_bytes_of_a_run_that_was_given_it(make_fresh_engine, tmp_path, capsys):
    """At 1e30 the second step is not finite."""
    files = []
    for name in ('auto', 'given'):
        engine = make_fresh_engine(lr=0.01 if name == 'auto' else TAKEN)
        engine.checkpoint_minutes, engine.test_loader = 99, {}
        fills = counted(engine)
        if name == 'auto':
            assert chosen(engine, (1e30, TAKEN, 1e-3)) == TAKEN
            said = capsys.readouterr().out
            assert 'rate 1e+30: bank recall at the start and the end of 0 steps: none\n' in said
            assert f'rate {TAKEN}: bank recall at the start and the end of 4 steps: 0.' in said
            assert 'rate 0.001' not in said
            assert not engine.memory.filled.any()
        engine.run(save_dir=str(tmp_path / name), **RUN)
        assert fills == [1, 'told']
        files.append(read_checkpoint(tmp_path / name / 'model/model.pth.tar-1'))
    assert differences(*files) == []
    # A run that goes on is built with the ladder's first rate, and takes that of its checkpoint.
    again = make_fresh_engine(lr=0.01)
    again.resume(files[0])
    assert again.get_current_lr() == TAKEN
    assert again.scheduler.base_lrs == [TAKEN]


def test_recall_that_is_0_from_the_start_speaks_for_no_rate():
    assert rate._is_healthy([0.5] * 9)
    assert not rate._is_healthy([0.0] * 9)


def test_where_none_is_healthy_it_takes_the_smallest_and_says_so(make_fresh_engine, monkeypatch, capsys):
    engine = make_fresh_engine()
    engine.fill_memory = lambda: None
    tries = []

    def trial(engine, *_):
        tries.append(engine.get_current_lr())
        return [0.8, 0.8, 0.8, 0.1]

    monkeypatch.setattr(rate, '_trial', trial)
    monkeypatch.setattr(rate, 'LAST', 1)
    assert chosen(engine, (0.1, 0.01)) == 0.01
    assert tries == [0.1, 0.01]
    assert 'warning: no rate keeps bank recall at 0.8 of its start: takes the smallest, 0.01' in capsys.readouterr().out
    assert engine.get_current_lr() == 0.01
    assert engine._optims['model'] is engine.optimizer


def test_the_bank_of_the_trials_is_not_that_of_other_weights(make_fresh_engine):
    engine = make_fresh_engine()
    chosen(engine, (TAKEN,))
    kept, weight = engine.kept_bank, next(engine.model.parameters()).data
    weight.mul_(2)
    assert not kept.take()
    assert not engine.memory.filled.any()
    weight.mul_(0.5)
    assert kept.take()
    assert engine.memory.filled.all()


@pytest.mark.parametrize(('recall', 'steps'), [([0.6] * 3 + [0.1] * 6, 8), ([0.6] * 3 + [0.31] * 6, 9), ([0.0] * 9, 9)])
def test_a_trial_ends_where_recall_is_lost(make_fresh_engine, capsys, recall, steps):
    """Below half of the start, which the mean over 5 steps tells first in the eighth."""
    engine, given = make_fresh_engine(data={'batch_size_train': 5}), iter(recall)
    engine.fill_memory = lambda: None
    engine.training_step = lambda data: {'recall': next(given)}
    chosen(engine, (0.1,))
    assert len([*given]) == len(recall) - steps
    said = capsys.readouterr().out
    assert f'of {steps} steps' in said
    assert (', lost\n' in said) == (steps < 9)
