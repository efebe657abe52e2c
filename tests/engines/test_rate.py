"""The rate that fits: the largest healthy one, and a run with it is one that was given it."""

import itertools
import math
import re

import pytest
import torch
from programs.distributed_runs import RECIPROCAL
from programs.kill_and_resume import differences
from torch.utils.data import DataLoader
from torchreid import optim

from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.engines import rate
from paul_plugin.engines.rate import choose_rate
from paul_plugin.engines.watch.observer import Observer

TAKEN = 0.0003
RUN = {'max_epoch': 1, 'print_freq': 9}


def chosen(engine, ladder, **layers):
    def build(lr):
        optimizer = optim.build_optimizer(engine.model, optim='sgd', lr=lr, weight_decay=1e-4)
        return optimizer, optim.build_lr_scheduler(optimizer, stepsize=50)

    return choose_rate(engine, build, ladder, **layers)


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
            assert chosen(engine, (1e30, TAKEN, 1e-5)) == TAKEN
            said = capsys.readouterr().out
            assert 'rate 1e+30: no bank recall\n' in said
            assert re.search(rf'rate {TAKEN}: bank recall went from 0.* to 0.* within 30 steps, taken\n', said)
            assert 'rate 1e-05' not in said
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


def with_recall(make_fresh_engine, images, start, *trials):
    """An engine whose steps give the recall of the start, then that of each trial; and what is left of it."""
    engine, given = make_fresh_engine(data={'batch_size_train': images}), itertools.chain([start] * 3, *trials)
    engine.fill_memory = lambda: None
    engine.training_step = lambda data: {'recall': next(given)}
    return engine, given


def test_recall_that_is_0_from_the_start_speaks_for_no_rate(make_fresh_engine, capsys):
    engine, _ = with_recall(make_fresh_engine, 10, 0.0, [0.0] * 30)
    chosen(engine, (0.1,))
    assert 'warning: no rate keeps bank recall' in capsys.readouterr().out


def test_of_a_small_set_the_first_epochs_count(make_fresh_engine, capsys):
    """Five steps an epoch. At the first rate the second step is low already, and later visits of the bank hide it."""
    spoilt = [1.0, 0.78, 0.69, 0.62, 0.42]
    engine, given = with_recall(make_fresh_engine, 9, 1.0, spoilt + [1.0] * 25, [1.0] * 5 + [0.9] * 25)
    assert chosen(engine, (0.1, 0.01)) == 0.01
    assert [*given] == []
    said = capsys.readouterr().out
    assert 'rate 0.1: bank recall went from 1.00 to 0.70 within 30 steps\n' in said
    assert 'rate 0.01: bank recall went from 1.00 to 0.90 within 30 steps, taken\n' in said


@pytest.mark.parametrize(('epoch', 'lowest'), [(300, 0.9), (20, 0.9), (12, 0.7), (3, 0.5), (1, 0.5)])
def test_within_the_first_epoch_recall_may_rise_again(epoch, lowest):
    assert rate._lowest([0.5] * 10 + [0.9] * 20, epoch) == pytest.approx(lowest, abs=0.05)


def test_a_trial_takes_the_steps_of_a_run(make_idle_engine, tmp_path):
    """Over all its epochs: the same images, augmentation, seed and trained layers, and positives chosen anew."""
    seen = []
    engine = make_idle_engine(minutes=math.inf)
    step = engine.training_step

    def recorded(batch):
        trained = sum(parameter.requires_grad for parameter in engine.network.parameters())
        seen.append((batch['img'][0].mean().item(), torch.initial_seed(), trained))
        return step(batch)

    engine.training_step, engine.objective.choose_positives = recorded, lambda _=iter: seen.append('chosen')
    layers = {'fixbase_epoch': 2, 'open_layers': ['branches']}
    chosen(engine, (0.1,), **layers)
    start, trial = seen[:4], seen[4:]
    seen.clear()
    engine.run(save_dir=str(tmp_path), max_epoch=8, **layers)
    assert start == seen[:4]
    assert len(trial) == 30 + 7  # epochs of 4 steps
    assert trial == seen[1:38]


def test_each_trial_begins_anew(make_fresh_engine, monkeypatch):
    """With positives that are chosen again before each epoch, too."""
    engine, trial, recalls = make_fresh_engine(**RECIPROCAL), rate._trial, []
    monkeypatch.setattr(rate, '_trial', lambda *args: recalls.append(trial(*args)) or recalls[-1])
    monkeypatch.setattr(rate, '_lowest', lambda *_: 0.0)
    monkeypatch.setattr(rate, 'STEPS', 6)
    chosen(engine, (0.01, 0.01))
    start, one, two = recalls
    assert len(start) == 3
    assert len(one) == 6
    assert one == two
    assert start[0] == one[0]
    assert engine.objective.positives is None


def test_where_no_epoch_has_a_step_no_rate_is_tried(make_fresh_engine, capsys):
    engine = make_fresh_engine()
    loader = engine.datamanager.train_loader
    engine.datamanager.train_loader = DataLoader(loader.dataset, loader.batch_size, sampler=[0, 1, 2])
    assert chosen(engine, (0.1, 0.01)) == 0.01
    assert 'rate 0.1: no bank recall\n' in capsys.readouterr().out


def test_where_none_is_healthy_it_takes_the_smallest_and_says_so(make_fresh_engine, monkeypatch, capsys):
    engine = make_fresh_engine()
    engine.fill_memory = lambda: None
    tries = []

    def trial(engine, *_):
        tries.append(engine.get_current_lr())
        return [0.8] * 3 if len(tries) == 1 else [0.1] * 30

    monkeypatch.setattr(rate, '_trial', trial)
    assert chosen(engine, (0.1, 0.01)) == 0.01
    assert tries == [0, 0.1, 0.01]
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


@pytest.mark.parametrize(
    ('recall', 'steps'), [([0.6] * 3 + [0.1] * 27, 8), ([0.6] * 3 + [0.31] * 27, 30), ([0.0] * 30, 30)]
)
def test_a_trial_ends_where_recall_is_lost(make_fresh_engine, capsys, recall, steps):
    """Below half of the start, which the mean over 5 steps tells first in the eighth."""
    engine, given = with_recall(make_fresh_engine, 5, recall[0], recall)
    chosen(engine, (0.1,))
    assert len([*given]) == len(recall) - steps
    said = capsys.readouterr().out
    assert f'within {steps} steps' in said
    assert (', lost\n' in said) == (steps < len(recall))
