"""Statistics of BatchNorm layers on one camera's images, against plain loops; networks of cameras."""

import copy
import operator

import pytest
import torch
from torch import nn

from paul_plugin.method.camera_norms import CameraNorms, statistics_of


@pytest.fixture
def model():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5), nn.Flatten(),
        nn.Linear(5 * 4 * 2, 6), nn.Dropout(), nn.BatchNorm1d(6), nn.BatchNorm1d(6, track_running_stats=False),
    ).double()  # fmt: skip
    net(torch.randn(8, 3, 8, 6, dtype=torch.float64))
    return net


def normalised(values, mean, var, layer):
    shape = [1, -1] + [1] * (values.ndim - 2)
    values = (values - mean.view(shape)) / (var.view(shape) + layer.eps).sqrt()
    return values * layer.weight.view(shape) + layer.bias.view(shape)


@torch.no_grad()
def by_hand(model, batches):
    """Channel by channel, batch by batch: what a layer sees is made with the statistics of the batch alone."""
    found = {name: ([], []) for name in ('1', '4', '8')}
    for images in batches:
        values = images
        for name, layer in model.named_children():
            if isinstance(layer, nn.Dropout):
                continue
            if not isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
                values = layer(values)
                continue
            channels = [values[:, channel].flatten() for channel in range(values.shape[1])]
            mean = torch.stack([sum(own) / len(own) for own in channels])
            squares = torch.stack([sum((own - m) ** 2) for own, m in zip(channels, mean)])
            number = len(channels[0])
            if name in found:
                found[name][0].append(mean)
                found[name][1].append(squares / (number - 1))
            values = normalised(values, mean, squares / number, layer)
    return {
        f'{name}.{part}': sum(each) / len(batches)
        for name, parts in found.items()
        for part, each in zip(('running_mean', 'running_var'), parts)
    }


def test_statistics_are_those_of_loops(model):
    batches = [2 * torch.randn(count, 3, 8, 6, dtype=torch.float64) + 1 for count in (5, 4)]
    before = copy.deepcopy(model.state_dict())
    found, expected = statistics_of(model, iter(batches), prior=0), by_hand(model, batches)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-12)
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert model.training
    mixed = statistics_of(model, iter(batches), prior=27)
    assert mixed.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(mixed[name], 0.25 * value + 0.75 * before[name], rtol=0, atol=1e-12)


def test_a_camera_s_network(model):
    images = 3 * torch.randn(9, 3, 8, 6, dtype=torch.float64) - 2
    model.eval()
    norms = CameraNorms(model, {'gate': statistics_of(model, [images])})
    network = norms.network('gate')
    assert norms.network('gate') is network
    assert norms.network('yard') is model
    assert not network.training
    assert all(map(operator.is_, network.parameters(), model.parameters()))
    values = images
    with torch.no_grad():
        for name, layer in model.named_children():
            if name in ('1', '4', '8'):
                mean, var = (norms.statistics['gate'][f'{name}.{part}'] for part in ('running_mean', 'running_var'))
                values = normalised(values, mean, var, layer)
            else:
                values = layer(values)
        torch.testing.assert_close(network(images), values, rtol=0, atol=1e-12)
        assert (model(images) - values).abs().max() > 0.1


def test_without_images_it_refuses(model):
    with pytest.raises(ValueError, match='statistics_of: there are no images'):
        statistics_of(model, [])
