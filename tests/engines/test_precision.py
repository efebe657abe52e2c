"""Mixed precision: the network in half precision, losses and bank in float32, on the CPU as on a GPU."""

import pytest
import torch
from helpers.batches import batch_of

from paul_plugin.engines.precision import MixedPrecision
from paul_plugin.runtime.errors import UserError


@pytest.mark.parametrize('amp', ['bf16', 'fp16'])
def test_a_step_of_the_engine(make_engine, amp):
    """The same batch gives nearly the same losses, whatever the precision; bank and weights stay float32."""
    torch.manual_seed(1)
    exact = make_engine()
    torch.manual_seed(1)
    engine = make_engine(amp=amp)
    batch = batch_of(engine)
    summaries = []
    for each in (exact, engine):
        each.memory.bank.copy_(torch.nn.functional.normalize(torch.ones_like(each.memory.bank).cumsum(1), dim=2))
        each.memory.filled.fill_(True)
        each.two_stepped_transfer_learning(0, 0, None)
        summaries.append(each.forward_backward(batch))
    for name, value in summaries[0].items():
        assert summaries[1][name] == pytest.approx(value, rel=0.05, abs=0.05), name
    assert engine.memory.bank.dtype == torch.float32
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in engine.model.parameters())
    moved = (engine.model.branches[0].reduction.weight - exact.model.branches[0].reduction.weight).abs().max()
    assert moved < 1e-2


def test_fp16_skips_an_overflow():
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    precision = MixedPrecision('fp16', torch.device('cpu'))
    scale = precision.scaler.get_scale()
    precision.step((weight * torch.inf).sum(), optimizer)
    assert weight.equal(torch.ones(2))
    assert precision.scaler.get_scale() < scale
    precision.step(weight.sum(), optimizer)
    torch.testing.assert_close(weight.detach(), torch.full((2,), 0.9))


def test_fp16_ends_where_no_overflow_explains_it():
    weight = torch.nn.Parameter(torch.ones(2))
    precision = MixedPrecision('fp16', torch.device('cpu'))
    precision.scaler._init_scale = 0.5
    with pytest.raises(UserError, match='not finite at a loss scale of 0.5: set train.amp bf16 or off, or'):
        precision.step((weight * torch.inf).sum(), torch.optim.SGD([weight], lr=0.1))


def test_bank_in_bfloat16(make_engine):
    engine = make_engine(bank_dtype='bfloat16')
    exact = make_engine()
    exact.model.load_state_dict(engine.model.state_dict())
    batch = batch_of(engine)
    summaries = []
    for each in (exact, engine):
        torch.manual_seed(2)
        features = torch.nn.functional.normalize(torch.randn(48, 6, 16), dim=2)
        each.memory.update(torch.arange(48), features)
        each.two_stepped_transfer_learning(0, 0, None)
        summaries.append(each.forward_backward(batch))
    assert engine.memory.bank.dtype == torch.bfloat16
    assert summaries[1]['pedal'] == pytest.approx(summaries[0]['pedal'], rel=0.02)
    with pytest.raises(ValueError, match="got 'float16'"):
        make_engine(bank_dtype='float16')
