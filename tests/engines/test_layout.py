"""The step's layout: channels last, which changes no more than the last bits of losses and gradients."""

import copy

import pytest
import torch

STEPS = 5


@pytest.fixture
def nets(make_engine):
    """The model as an engine trains it, and the same contiguous."""
    net = make_engine(lr=1e-3).model
    return net, copy.deepcopy(net).to(memory_format=torch.contiguous_format)


def layouts(net):
    """Whether each of the convolutions that have a choice keeps its weights channels last."""
    weights = [weight for weight in net.parameters() if weight.ndim == 4 and min(weight.shape[1], weight.shape[2]) > 1]
    return {not weight.is_contiguous() for weight in weights}


def test_the_engine_trains_in_it_whoever_built_the_model(nets):
    ours, plain = nets
    assert layouts(ours) == {True}
    assert layouts(plain) == {False}
    assert not ours.backbone.featuremaps(torch.randn(2, 3, 96, 48)).is_contiguous()


def test_losses_and_gradients_are_those_of_the_contiguous_network(nets):
    """In float64: in float32 a net of random weights makes 1e-3 of the last bits, in either layout."""
    ours, plain = (net.double().train() for net in nets)
    optimizer = torch.optim.SGD(ours.parameters(), lr=1e-3, momentum=0.9)
    aims = torch.nn.functional.normalize(torch.randn(8, 6, 16, dtype=torch.float64), dim=2)
    for _ in range(STEPS):
        plain.load_state_dict(ours.state_dict())  # takes values and keeps its layout
        images, found = torch.randn(8, 3, 64, 48, dtype=torch.float64), []
        for net in (ours, plain):
            net.zero_grad()
            loss = (net(images) - aims).square().mean()
            loss.backward()
            found.append((loss.item(), {n: p.grad for n, p in net.named_parameters() if p.grad is not None}))
        (loss, grads), (plain_loss, plain_grads) = found
        assert abs(loss - plain_loss) < 1e-5
        assert grads.keys() == plain_grads.keys()
        assert max((grads[name] - plain_grads[name]).abs().max().item() for name in grads) < 1e-5
        optimizer.step()
    assert layouts(plain) == {False}
