"""PEDAL alone needs no surrogates: the same loss, bank and weights as with them, from half the images."""

import pytest
import torch
from helpers.batches import batch_of
from helpers.models import few_layers
from torch import nn


@pytest.fixture
def make_alone(make_engine, make_datamanager):
    """Makes an engine without IPFL whose BatchNorm keeps its statistics, so that an image is seen by itself."""

    def make(*transforms):
        torch.manual_seed(3)
        engine = make_engine(
            make_datamanager(transforms=['random_flip', *transforms]), build=few_layers, weight_ipfl=0.0
        )
        for module in engine.model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval().train = lambda mode=True, module=module: module
        return engine

    return make


def test_the_same_as_with_them(make_alone, tmp_path):
    found = []
    for transforms in (['surrogate_positive'], []):
        engine = make_alone(*transforms)
        engine.test_loader = {}
        engine.run(save_dir=str(tmp_path / f'{len(transforms)}'), max_epoch=2, print_freq=9)
        found.append((engine.history, engine.memory.bank, dict(engine.model.named_parameters())))
    (with_them, bank, weights), (without, other_bank, other_weights) = found
    assert without[0].keys() == with_them[0].keys() - {'ipfl', 'mined'}
    for entry, other in zip(with_them, without, strict=True):
        assert {name: entry[name] for name in other} == pytest.approx(other, rel=1e-4)
    torch.testing.assert_close(other_bank, bank, rtol=0, atol=1e-5)
    for name, value in weights.items():
        torch.testing.assert_close(other_weights[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_a_step_passes_each_image_once(make_alone):
    passed = []
    for transforms in (['surrogate_positive'], []):
        engine = make_alone(*transforms)
        engine.network = engine.wrap_network()
        engine.model.register_forward_pre_hook(lambda _, inputs: passed.append(len(inputs[0])))
        engine.training_step(batch_of(engine))
    assert passed == [20, 10]


def test_ipfl_needs_them(make_engine, make_datamanager):
    with pytest.raises(ValueError, match="needs 'surrogate_positive' among .*, or weight_ipfl=0"):
        make_engine(make_datamanager(transforms=['random_flip']), weight_ipfl=0.5)
