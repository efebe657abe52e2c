"""Descriptors that several threads ask for, while a model's user trains it; and those that are no numbers."""

import threading

import pytest
import torch
from torch import nn

from paul_plugin.data.descriptors import describe_images, eval_mode
from paul_plugin.runtime.errors import UserError


def test_the_last_thread_gives_the_modes_back():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout()).train()
    model[1].eval()
    inside, leave, modes = threading.Event(), threading.Event(), []

    def first():
        with eval_mode(model):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(10)
    with eval_mode(model):
        leave.set()
        thread.join(10)
        modes.append([module.training for module in model.modules()])  # the first has left
        model(torch.randn(4, 3))
    assert modes == [[False, False, False]]
    assert [module.training for module in model.modules()] == [True, True, False]
    assert model[0].running_mean.abs().max() == 0  # what training mode would have changed


def test_a_model_that_has_run_away_describes_nothing():
    model, images = nn.Sequential(nn.Flatten(), nn.Linear(3, 2)).eval(), [torch.ones(3, 1, 1)] * 3
    assert torch.cat([*describe_images(model, images, batch_size=2)]).shape == (3, 2)
    model[1].bias.data[0] = torch.inf
    with pytest.raises(UserError, match="the model's descriptors are not finite: its training has failed"):
        next(describe_images(model, images))
