"""train.amp auto: the fastest precision, a run with it is one that was given it, and a resumed one keeps it."""

import pytest
import torch
from programs.kill_and_resume import differences
from torchreid import optim

from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.engines import fastest
from paul_plugin.engines.precision import MixedPrecision
from paul_plugin.engines.rate import choose_rate
from paul_plugin.runtime import processes

RUN = {'max_epoch': 1, 'print_freq': 9}
CPU = torch.device('cpu')


@pytest.fixture
def takes(monkeypatch):
    """Sets the seconds of each precision; gives the list of what was timed."""
    timed = []

    def set_times(**times):
        def seconds(net, images, amp):
            timed.append((amp, len(images), net.training))
            return times[amp]

        monkeypatch.setattr(fastest, 'seconds', seconds)
        return timed

    return set_times


@pytest.mark.parametrize(
    ('times', 'taken'),
    [
        ({'off': 2.2, 'bf16': 3.3}, 'off'),
        ({'off': 1.0, 'bf16': 0.95}, 'off'),  # not worth its digits
        ({'off': 1.0, 'bf16': 0.4}, 'bf16'),
        ({'off': 1.0, 'bf16': 0.4, 'fp16': 0.39}, 'bf16'),  # which needs no scaling
        ({'off': 1.0, 'bf16': 1.5, 'fp16': 0.4}, 'fp16'),  # a GPU without bfloat16
    ],
)
def test_the_fastest(times, taken):
    assert fastest.fastest(times) == taken


@pytest.mark.parametrize('taken', ['off', 'bf16'])
def test_a_run_with_it_ends_with_the_bytes_of_one_that_was_given_it(make_fresh_engine, tmp_path, takes, capsys, taken):
    timed = takes(off=0.2, bf16=0.1 if taken == 'bf16' else 0.3)
    files = []
    for amp in ('auto', taken):
        engine = make_fresh_engine(amp=amp)
        engine.checkpoint_minutes, engine.test_loader = 99, {}
        engine.run(save_dir=str(tmp_path / amp), **RUN)
        files.append(read_checkpoint(tmp_path / amp / 'model/model.pth.tar-1'))
    assert differences(*files) == []
    assert files[0]['amp']['amp'] == taken
    said = [line for line in capsys.readouterr().out.splitlines() if 'train.amp auto' in line]
    assert len(said) == 1
    assert said[0].startswith('train.amp auto: the backbone, forward and backward, 4 images: off 200 ms, bf16 ')
    assert said[0].endswith(f'takes {taken}')
    assert timed == [('off', 4, False), ('bf16', 4, False)] * 4


def test_the_real_measure_leaves_no_trace(make_fresh_engine):
    """In the middle of the filling, which has no gradients."""
    engine = make_fresh_engine(amp='auto')
    before = {name: value.clone() for name, value in engine.model.state_dict().items()}
    engine.model.train()
    random = torch.get_rng_state()
    with torch.no_grad():
        took = [fastest.seconds(engine.model, torch.ones(2, 3, 96, 48), amp) for amp in ('off', 'bf16')]
        engine.precision.autocast()
    assert min(took) > 0
    assert engine.precision.amp in ('off', 'bf16')
    assert torch.get_rng_state().equal(random)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in engine.model.backbone.parameters())
    assert all(module.training for module in engine.model.modules())
    engine.two_stepped_transfer_learning(0, 1, ['branches'])  # the backbone is frozen in the first epochs
    assert fastest.seconds(engine.model, torch.ones(2, 3, 96, 48), 'bf16') > 0
    fresh = make_fresh_engine(amp='auto')
    fresh.precision.autocast()
    assert all(value.equal(before[name]) for name, value in fresh.model.state_dict().items())


def test_a_resumed_run_keeps_it(make_fresh_engine, tmp_path, takes):
    takes(off=0.2, bf16=0.1)
    engine = make_fresh_engine(amp='auto')
    engine.test_loader = {}
    engine.run(save_dir=str(tmp_path), **RUN)
    timed = takes(off=0.1, bf16=0.2)  # another machine
    timed.clear()
    again = make_fresh_engine(amp='auto')
    again.test_loader = {}
    start = again.resume(read_checkpoint(tmp_path / 'model/model.pth.tar-1'))
    again.run(save_dir=str(tmp_path), start_epoch=start, **{**RUN, 'max_epoch': 2})
    assert again.precision.dtype == torch.bfloat16
    assert timed == []
    damaged = read_checkpoint(tmp_path / 'model/model.pth.tar-2')
    damaged['amp']['amp'] = 'int8'
    with pytest.raises(ValueError, match="amp must be one of off, bf16, fp16, auto, got 'int8'"):
        make_fresh_engine(amp='auto').resume(damaged)


def test_with_the_rate_that_fits(make_fresh_engine, takes):
    """Which puts the state from before its trials back: the precision stays, the loss scaler is a new one."""
    timed = takes(off=0.2, bf16=0.1)
    engine = make_fresh_engine(amp='auto')

    def build(lr):
        optimizer = optim.build_optimizer(engine.model, optim='sgd', lr=lr)
        return optimizer, None

    choose_rate(engine, build, (1e-3,))
    assert engine.precision.amp == 'bf16'
    assert len(timed) == 8


def test_state():
    """Of a precision that is given, a checkpoint changes nothing; and what is chosen starts with a new scaler."""
    given = MixedPrecision('off', CPU, lambda: 'bf16')
    given.load_state_dict({'scaler': {}, 'skipped': 2, 'amp': 'bf16'})
    assert (given.amp, given.dtype, given.skipped) == ('off', None, 2)
    given.load_state_dict({'scaler': {}, 'skipped': 0})  # of a version before

    auto = MixedPrecision('auto', CPU, lambda: 'fp16')
    before = auto.state_dict()
    assert before['amp'] == 'auto'
    auto.autocast()
    fresh = auto.scaler.get_scale()
    weight = torch.nn.Parameter(torch.ones(2))
    auto.step((weight * torch.inf).sum(), torch.optim.SGD([weight], lr=0.1))
    assert auto.scaler.get_scale() < fresh
    auto.load_state_dict(before)
    assert (auto.amp, auto.scaler.get_scale(), auto.skipped) == ('fp16', fresh, 0)
    auto.load_state_dict({'scaler': {}, 'skipped': 0})
    assert auto.amp == 'fp16'
    with pytest.raises(ValueError, match="amp must be one of off, bf16, fp16, got 'auto'"):
        MixedPrecision('auto', CPU)


def test_of_several_processes_the_first_decides(make_engine, takes, monkeypatch, capsys):
    net = make_engine().model
    timed = takes(off=0.2, bf16=0.1)
    told = []
    monkeypatch.setattr(processes, 'from_first', lambda value: told.append(value) or 'bf16')
    for first in (True, False):
        monkeypatch.setattr(processes, 'is_first', lambda first=first: first)
        assert fastest.choose_precision(net, 96, 48, 2) == 'bf16'
    assert told == ['bf16', None]
    assert len(timed) == 8
    assert {number for _, number, _ in timed} == {2}
    assert capsys.readouterr().out.count('train.amp auto') == 1
