"""Describing by a copy with its norms folded: the same descriptors, the model as it was, and what cannot be folded."""

import pytest
import torch
import torchreid
from torch import nn

from paul_plugin.data.descriptors import describe_images
from paul_plugin.method.folding import Describing, folded

IMAGES = (6, 3, 96, 48)
MODELS = ('osnet_x0_25', 'osnet_ain_x1_0', 'resnet18', 'mobilenetv2_x1_0')


def norms(network):
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def trained(name):
    """A model whose norms have weights and statistics of their own, in eval mode."""
    model = torchreid.models.build_model(f'paul_{name}', loss='paul', pretrained=False, dim=16)
    for norm in norms(model):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.1)
    with torch.no_grad():
        model.train()(torch.randn(*IMAGES))
    return model.eval()


@pytest.mark.parametrize('name', MODELS)
@torch.no_grad()
def test_it_describes_as_the_model_does(name):
    model, images = trained(name), torch.randn(*IMAGES)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    expected = model(images)
    network = folded(model, images[:2])
    assert (network(images) - expected).abs().max() < 1e-5
    assert len(norms(network)) < 0.1 * len(norms(model))
    assert not network.backbone.featuremaps(images).is_contiguous()
    assert model(images).equal(expected)
    assert before.keys() == model.state_dict().keys()
    assert all(before[key].equal(value) for key, value in model.state_dict().items())


class Both(nn.Module):
    """A network whose convolution's output goes past its norm, too, which shows in the numbers alone."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.last = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)

    def forward(self, images):
        maps = self.conv(images)
        return self.last(self.norm(maps) + maps).mean((2, 3))


@torch.no_grad()
def test_a_network_that_cannot_be_folded_keeps_its_norms():
    model, images = Both(), torch.randn(*IMAGES)
    model.train()(images + 1)
    network = folded(model.eval(), images)
    assert network is not model
    assert len(norms(network)) == 1
    torch.testing.assert_close(network(images), model(images), rtol=0, atol=1e-5)


def test_no_copy_is_made_of_what_it_would_not_help():
    model, images = Both(), torch.randn(*IMAGES)
    assert folded(model.train(), images) is model
    assert folded(model.eval(), images.unsqueeze(0)) is model  # clips
    flat = nn.Sequential(nn.Flatten()).eval()
    assert folded(flat, images) is flat
    model.own = (number for number in ())  # which cannot be copied
    assert folded(model, images) is model


def test_describing_takes_the_copy_and_new_weights_the_next_time():
    model, images, calls = trained('osnet_x0_25'), list(torch.randn(18, 3, 96, 48)), []
    model.backbone.conv1.bn.register_forward_hook(lambda *_: calls.append(1))
    before = torch.cat([*describe_images(model, images, batch_size=2)])
    assert len(calls) == 2  # to see the pairs and to compare; not in the other batches
    assert before.shape == (18, 6 * 16)
    with torch.no_grad():
        model.backbone.conv1.conv.weight.mul_(-1)
        expected = model(torch.stack(images))
    after = torch.cat([*describe_images(model, images, batch_size=2)])
    torch.testing.assert_close(after, expected, rtol=0, atol=1e-5)
    assert (after - before).abs().max() > 1e-3


def test_the_copy_is_made_once():
    describing, images = Describing(trained('osnet_x0_25')), torch.randn(*IMAGES)
    assert describing.network(images) is describing.network(images)
