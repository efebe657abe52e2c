"""What a resumed run refuses of a checkpoint, and what is saved when an error ends a run."""

import os
import signal

import pytest
import torch
from helpers.crashes import RUN, Crash, final, resumed

from paul_plugin.checkpoints.folder import CheckpointFolder
from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.host.engine import set_random_seed
from paul_plugin.runtime.errors import UserError

HOSTILE = {
    'a negative epoch': ('epoch', -3, 'epoch is not from 0'),
    'an epoch beyond all': ('epoch', 10**30, 'epoch is not from 0'),
    'an epoch that is true': ('epoch', True, 'epoch is of type bool'),
    'a seed of many digits': ('seed', 10**6000, 'seed is not from 0'),
    'words in the history': ('history', [{'epoch': 'one'}], 'history holds something else'),
    'an endless number in the history': ('history', [{'epoch': 10**400}], 'history holds something else'),
    'more steps than an epoch has': ('summaries', [{'loss': 1.0}] * 1000, '1000 steps of an epoch of 4'),
    'steps of two kinds': ('summaries', [{'loss': 1.0}, {'pedal': 1.0}], 'not all of the same losses'),
    'no generators': ('random', {}, "'python'"),
}


@pytest.mark.parametrize('case', HOSTILE)
def test_a_hostile_state_is_refused(make_fresh_engine, undisturbed, case):
    name, value, words = HOSTILE[case]
    checkpoint = final(undisturbed)
    checkpoint[name] = value
    with pytest.raises((ValueError, KeyError), match=words):
        make_fresh_engine().resume(checkpoint)


def test_settings_of_another_type_are_refused(make_fresh_engine, undisturbed):
    checkpoint = final(undisturbed)
    checkpoint['optimizer']['param_groups'][0]['lr'] = 'fast'
    with pytest.raises(ValueError, match='lr of its optimizer is of type str'):
        make_fresh_engine().resume(checkpoint)
    checkpoint = final(undisturbed)
    checkpoint['scheduler']['last_epoch'] = []
    with pytest.raises(ValueError, match='last_epoch of its scheduler is of type list'):
        make_fresh_engine().resume(checkpoint)


def test_weights_that_are_not_finite_are_not_gone_on_with(make_fresh_engine, undisturbed):
    checkpoint = final(undisturbed)
    checkpoint['state_dict']['branches.0.norm.weight'][0] = torch.nan
    with pytest.raises(ValueError, match='not finite, branches.0.norm.weight is the first'):
        make_fresh_engine().resume(checkpoint)


def test_a_model_that_has_run_away_has_no_map(make_fresh_engine, tmp_path):
    """A rate that no weight survives: the losses of the step are finite, those of the test are not."""
    engine = make_fresh_engine(lr=1e30)
    engine.checkpoint_minutes = 99
    with pytest.raises(UserError, match='not finite.*lower train.lr'):
        engine.run(save_dir=str(tmp_path), max_epoch=1, eval_freq=1, dist_metric='cosine', print_freq=9)
    assert not (tmp_path / 'model/model-best.pth.tar').exists()
    assert engine.results == {}


def test_a_killed_worker_costs_no_finished_step(make_fresh_engine, undisturbed, tmp_path):
    """As the system does when memory runs out; the run goes on to the bytes of one that nothing disturbed."""
    engine = make_fresh_engine(data={'workers': 1})
    engine.checkpoint_minutes = 99
    step, done = engine.training_step, []

    def then_kill(batch):
        summary = step(batch)
        done.append(batch['impath'])
        if len(done) == 6:
            os.kill(engine.loader._iterator._workers[0].pid, signal.SIGKILL)
        return summary

    engine.training_step = then_kill
    with pytest.raises((RuntimeError, ConnectionError)):  # whichever sees it first
        engine.run(save_dir=str(tmp_path), **RUN)
    newest = CheckpointFolder(tmp_path / 'model').newest().name
    assert newest.startswith('model.pth.tar-1-')
    set_random_seed(99)
    assert all(
        value.equal(resumed_value)
        for value, resumed_value in zip(
            final(undisturbed)['state_dict'].values(),
            resumed(make_fresh_engine(), tmp_path)['state_dict'].values(),
            strict=True,
        )
    )


def test_a_step_that_fails_is_not_saved(make_fresh_engine, tmp_path):
    """The bank has moved and the weights may have: the last finished step is what counts."""
    engine = make_fresh_engine(crash_after=3)
    engine.checkpoint_minutes = 99
    with pytest.raises(Crash):
        engine.run(save_dir=str(tmp_path), **RUN)
    assert CheckpointFolder(tmp_path / 'model').newest() is None


def test_training_is_saved_before_a_test_that_fails(make_fresh_engine, tmp_path, monkeypatch):
    engine = make_fresh_engine()
    engine.checkpoint_minutes = 99

    def fail(*args, **kwargs):
        raise AssertionError('no query identity appears in gallery')

    monkeypatch.setattr('torchreid.metrics.evaluate_rank', fail)
    with pytest.raises(AssertionError):
        engine.run(save_dir=str(tmp_path), max_epoch=1, dist_metric='cosine', print_freq=9)
    assert read_checkpoint(tmp_path / 'model/model.pth.tar-1')['epoch'] == 1
