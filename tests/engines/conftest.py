"""An engine that saves after every step and can crash, and the folder of a run that nothing disturbed."""

import math

import pytest
from helpers.crashes import RUN, Crash

from paul_plugin.host.engine import set_random_seed


@pytest.fixture
def make_fresh_engine(make_engine, make_datamanager):
    """Makes an engine that saves after every step, each time as a new process would; it can crash after so many.

    With `minutes=math.inf` it saves at the end of an epoch alone, which spares a third of a run's time.
    """

    def make(crash_after=math.inf, data=(), minutes=0, **options):
        set_random_seed(3)
        engine = make_engine(make_datamanager(**dict(data)), **options)
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


@pytest.fixture(scope='session')
def folder_of_undisturbed(tmp_path_factory):
    return tmp_path_factory.mktemp('undisturbed')


@pytest.fixture
def undisturbed(make_fresh_engine, folder_of_undisturbed):
    """The folder of a run that nothing disturbed; made once."""
    if not (folder_of_undisturbed / 'history.json').exists():
        make_fresh_engine().run(save_dir=str(folder_of_undisturbed), **RUN)
    return folder_of_undisturbed
