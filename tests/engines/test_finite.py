"""Numbers that are not finite, steps that float16 skips, and a collapse are seen and told."""

import math
import re

import numpy as np
import pytest
import torch
import torchreid
from helpers.crashes import RUN
from helpers.models import few_layers

from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.engines.finite import FiniteGuard, NotFinite
from paul_plugin.engines.watch.collapse import CollapseAlarm
from paul_plugin.host.evaluation import recorded_results
from paul_plugin.runtime.errors import UserError


@pytest.mark.parametrize('where', ['loss', 'gradient'])
def test_what_is_not_finite_stops_before_the_optimizer_steps(make_fresh_engine, tmp_path, where):
    engine = make_fresh_engine()
    weights = []
    pedal, calls = engine.objective.pedal.loss_and_recall, []

    def spoiled(*args):
        loss, recall = pedal(*args)
        calls.append(args)
        if len(calls) < 3:
            return loss, recall
        weights.extend(value.clone() for value in engine.model.parameters())
        if where == 'loss':
            return loss * math.nan, recall
        loss.register_hook(lambda grad: grad * math.inf)
        return loss * 1, recall

    engine.objective.pedal.loss_and_recall = spoiled
    with pytest.raises(UserError) as error:
        engine.run(save_dir=str(tmp_path), **RUN)
    first, second = str(error.value).splitlines()
    assert first.startswith('epoch 1, step 3: not finite: loss ')
    assert 'model.pth.tar-0-2' in first
    assert len(re.findall(r'\.jpg', second)) == 10
    assert all(value.equal(before) for value, before in zip(engine.model.parameters(), weights, strict=True))
    read_checkpoint(tmp_path / 'model/model.pth.tar-0-2')


def test_float16_skips_are_counted(make_engine):
    """On a CPU the scaler works as on a GPU: an overflow skips the step and halves the scale."""
    engine = make_engine(amp='fp16', build=few_layers)
    engine.epoch, engine.max_epoch = 0, 1
    engine.precision.scaler._init_scale = 2.0**120  # beyond float32 with these losses' gradients
    engine.train()
    assert engine.precision.skipped > 0
    assert all(value.isfinite().all() for value in engine.model.state_dict().values())
    other = make_engine(amp='fp16', build=few_layers)
    other.precision.load_state_dict(engine.precision.state_dict())
    assert other.precision.skipped == engine.precision.skipped


def test_collapse_is_reported(make_engine, capsys):
    engine = make_engine(build=few_layers)
    engine.epoch, engine.max_epoch = 0, 1
    engine.train()
    assert 'collapse' not in capsys.readouterr().out or engine.history[-1]['cosine'] > 0.5
    engine.memory.bank.copy_(torch.ones_like(engine.memory.bank))
    CollapseAlarm(0.5).after_epoch(engine)
    out = capsys.readouterr().out
    assert 'warning: collapse' in out
    assert 'paul.collapse_cosine' in out


def test_losses_that_nobody_watched_are_looked_at_afterwards():
    with pytest.raises(NotFinite, match='^loss 1, acc nan$'):
        FiniteGuard().check({'loss': 1.0, 'acc': math.nan})


def test_distances_that_are_not_finite_get_no_numbers():
    distances, people = np.full((1, 3), np.nan, np.float32), np.arange(3)
    with recorded_results(), pytest.raises(UserError, match='^the distances of a test are not finite'):
        torchreid.metrics.evaluate_rank(distances, people[-1:], people, people[-1:] * 0, people * 0 + 1)
