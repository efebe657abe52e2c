"""An engine that saves after every step and can crash, and the folder of a run that nothing disturbed."""

import math

import pytest
from helpers.crashes import RUN, Crash
from helpers.models import few_layers

from paul_plugin.host.engine import set_random_seed


@pytest.fixture
def make_fresh_engine(make_engine, make_datamanager):
    """Makes an engine that saves after every step, each time as a new process would; it can crash after so many.

    Its images are small, and its backbone has few layers: what is resumed is not what takes the time.
    With `minutes=math.inf` it saves at the end of an epoch alone, which spares a third of a run's time.
    """

    def make(crash_after=math.inf, data=(), minutes=0, **options):
        set_random_seed(3)
        engine = make_engine(make_datamanager(**{'height': 48, **dict(data)}), build=few_layers, **options)
        engine.checkpoint_minutes = minutes
        engine.keep_checkpoints = 100
        step = engine.training_step
        steps = []

        def crashing_step(batch):
            if len(steps) == crash_after:
                raise Crash
            steps.append(batch['impath'])
            return step(batch)

        engine.training_step = crashing_step
        return engine

    return make


@pytest.fixture
def make_idle_engine(make_fresh_engine):
    """Makes such an engine that trains and tests nothing, in no time; its loss is the mean of its images."""

    def make(**options):
        engine = make_fresh_engine(**options)
        engine.training_step = lambda batch: {'loss': batch['img'][0].mean().item(), 'recall': 0.5}
        engine.fill_memory = lambda: engine.memory.filled.fill_(True)
        engine.test_loader = {}
        return engine

    return make


@pytest.fixture
def undisturbed(make_fresh_engine, made_once):
    """The folder of a run that nothing disturbed; made once, to be read only."""
    return made_once('undisturbed', lambda folder: make_fresh_engine().run(save_dir=str(folder), **RUN))
