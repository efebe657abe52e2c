"""A model that several threads ask for descriptors, while its user has it in training mode."""

import threading

import torch
from torch import nn

from paul_plugin.data.descriptors import eval_mode


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
