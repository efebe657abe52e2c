"""A model's own head as one linear map, and the few directions that hold all of its output."""

import pytest
import torch
import torchreid
from torch.nn import functional as F

from paul_plugin.checkpoints.head import directions, enough_numbers, fits, head_of
from paul_plugin.checkpoints.weights_file import state_of


def make(name='osnet_x0_25'):
    """A model of torchreid's whose head's norm has statistics."""
    torch.manual_seed(0)
    model = torchreid.models.build_model(name, 7, pretrained=False)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            for value in (layer.running_mean, layer.running_var, layer.weight.data, layer.bias.data):
                value.uniform_(0.5, 2)
    return model.eval()


@pytest.mark.parametrize(('name', 'length'), [('osnet_x0_25', 129), ('osnet_x1_0', 512)])
def test_it_is_what_the_model_computes(name, length):
    model = make(name)
    head = head_of(state_of(model.state_dict(), '')[1])
    channels = model.fc[0].in_features
    images = torch.randn(5, channels)
    wanted = model.fc[:2](images).double()
    torch.testing.assert_close(F.linear(images.double(), *head), wanted, rtol=1e-4, atol=1e-4)
    assert fits(head, channels)
    assert not fits(head, channels + 1)
    assert enough_numbers(head, 512) == length
    assert enough_numbers(head, 100) == 100


@pytest.mark.parametrize('dim', [129, 160, 512])
def test_few_directions_keep_all_cosines(dim):
    head = head_of(state_of(make().state_dict(), '')[1])
    images = torch.randn(6, 128, dtype=torch.float64)
    weight, bias = directions(head, dim)
    assert weight.shape == (dim, 128)
    found, wanted = (F.normalize(F.linear(images, *each), dim=1) for each in ((weight, bias), head))
    torch.testing.assert_close(found @ found.T, wanted @ wanted.T, rtol=0, atol=1e-9)


def test_fewer_directions_hold_the_most():
    head = head_of(state_of(make().state_dict(), '')[1])
    both = torch.cat([head.weight, head.bias[:, None]], 1)
    weight, bias = directions(head, 20)
    held = torch.cat([weight, bias[:, None]], 1).square().sum()
    torch.testing.assert_close(held, torch.linalg.svdvals(both)[:20].square().sum())


@pytest.mark.parametrize('name', ['resnet18', 'mobilenetv2_x1_0'])
def test_models_without_a_head(name):
    state = state_of(torchreid.models.build_model(name, 7, pretrained=False).state_dict(), '')[1]
    assert head_of(state) is None
    assert not fits(None, 512)


def test_a_head_without_a_norm_and_one_of_several_layers():
    weight, bias = torch.randn(4, 3), torch.randn(4)
    head = head_of({'backbone.fc.0.weight': weight, 'backbone.fc.0.bias': bias})
    assert head.weight.equal(weight.double())
    assert head.bias.equal(bias.double())
    assert head_of({'backbone.fc.0.weight': weight, 'backbone.fc.3.weight': torch.randn(4, 4)}) is None
