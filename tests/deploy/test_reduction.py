"""PCA of the memory bank against NumPy, what does not change it, and the mAP that it costs."""

import numpy as np
import pytest
import torch
import torchreid

from paul_plugin.config.settings import with_keys
from paul_plugin.deploy.pca import Reduction, cost_of, fit_pca, reduce_dimension
from paul_plugin.host.evaluation import recorded_results
from paul_plugin.runtime.errors import UserError


def bank_of(rows, patches=3):
    return rows.reshape(len(rows), patches, -1).transpose(0, 1)


@pytest.fixture
def rows():
    """50 descriptors of 12 numbers, of different variances, away from the origin."""
    mixing = torch.randn(12, 12, dtype=torch.float64) * torch.logspace(0, -2, 12)
    return torch.randn(50, 12, dtype=torch.float64) @ mixing + 3


@pytest.mark.parametrize('count', [50, 8])
def test_against_numpy(rows, count):
    rows = rows[:count]
    dim = min(5, count - 1)
    mean, components = fit_pca(bank_of(rows), torch.ones(count, dtype=torch.bool), dim)
    centred = rows.numpy() - rows.numpy().mean(0)
    expected = np.linalg.svd(centred, full_matrices=False)[2][:dim]
    expected *= np.sign(np.take_along_axis(expected, np.abs(expected).argmax(1)[:, None], 1))
    np.testing.assert_allclose(mean.numpy(), rows.numpy().mean(0), rtol=1e-12)
    np.testing.assert_allclose(components.numpy(), expected, atol=1e-9)


def test_invariances(rows):
    filled = torch.ones(len(rows), dtype=torch.bool)
    mean, components = fit_pca(bank_of(rows), filled, 6)
    torch.testing.assert_close(components @ components.T, torch.eye(6, dtype=torch.float64))
    order = torch.randperm(len(rows))
    for other in (rows[order], rows + 7, -2 * rows):
        torch.testing.assert_close(fit_pca(bank_of(other), filled, 6)[1], components)
    variances = ((rows - mean) @ components.T).var(0)
    assert (variances.diff() < 0).all()


def test_rows_that_are_not_filled_do_not_count(rows):
    filled = torch.rand(len(rows)) < 0.7
    spoiled = torch.where(filled[:, None], rows, float('nan'))
    expected = fit_pca(bank_of(rows[filled]), torch.ones(int(filled.sum()), dtype=torch.bool), 4)
    for value, other in zip(fit_pca(bank_of(spoiled), filled, 4), expected, strict=True):
        assert value.equal(other)


def test_in_blocks_as_in_one(rows, monkeypatch):
    filled = torch.ones(len(rows), dtype=torch.bool)
    whole = fit_pca(bank_of(rows), filled, 4)
    monkeypatch.setattr('paul_plugin.deploy.pca._ROWS', 7)
    for value, other in zip(fit_pca(bank_of(rows), filled, 4), whole, strict=True):
        torch.testing.assert_close(value, other)


def test_full_reduction_keeps_centred_cosines(rows):
    """A rotation: nothing but the mean is lost."""
    mean, components = fit_pca(bank_of(rows), torch.ones(50, dtype=torch.bool), 12)
    reduced = Reduction(mean, components)(rows.float()).double()
    centred = torch.nn.functional.normalize(rows - mean, dim=1)
    torch.testing.assert_close(reduced @ reduced.T, centred @ centred.T, atol=1e-5, rtol=0)


@pytest.mark.parametrize('dim', [0, -1, 13, 8])
def test_refuses_what_the_bank_cannot_give(rows, dim):
    count = 8 if dim == 8 else 50
    limit = 7 if dim == 8 else 12
    with pytest.raises(ValueError, match=f'gives 1 to {limit} numbers, not {dim}'):
        fit_pca(bank_of(rows[:count]), torch.ones(count, dtype=torch.bool), dim)


def test_trained_model(make_trained, make_datamanager):
    """The reduced model is the model and the projection; the mAP of both is the one of torchreid's engine."""
    trained = make_trained()
    reduced = reduce_dimension(trained, 8)
    assert reduced.model.feature_dim == 8
    images = torch.randn(3, 3, 96, 48)
    with torch.no_grad():
        mean, components = (values.float() for values in fit_pca(*trained.memory(), 8))
        expected = torch.nn.functional.normalize((trained.model(images) - mean) @ components.T, dim=1)
        torch.testing.assert_close(reduced.model(images), expected)

    lines = cost_of(reduced)
    before, after = (100 * measured_by_an_engine(model, make_datamanager()) for model in (trained.model, reduced.model))
    assert lines == f'mAP on synthetic_target: {before:.1f} with 96 numbers, {after:.1f} with 8'


def measured_by_an_engine(model, datamanager):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    engine = torchreid.engine.ImageSoftmaxEngine(datamanager, model, optimizer, use_gpu=False)
    with recorded_results() as results:
        engine.test()
    return results[0]['mAP']


def test_trained_model_refused(make_trained):
    trained = make_trained()
    with pytest.raises(UserError, match='--dim 40: PCA of 40 descriptors of 96 numbers gives 1 to 39 numbers, not 40'):
        reduce_dimension(trained, 40)
    with pytest.raises(UserError, match='--dim 4: the descriptors of .* were reduced or centred already'):
        reduce_dimension(reduce_dimension(trained, 8), 4)
    with pytest.raises(UserError, match='holds no memory bank'):
        reduce_dimension(trained._replace(checkpoint={}), 8)
    away = with_keys(trained.cfg, {'data.root': 'nowhere'})
    told = cost_of(reduce_dimension(trained, 8)._replace(cfg=away))
    assert told.startswith("the mAP that it costs was not measured: data set 'synthetic_target' is not there")
