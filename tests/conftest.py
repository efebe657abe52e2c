"""Settings and fixtures shared by the tests: small rendered data sets and what trains on them."""

import os
import sys
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before torch is imported: two processes of tests share two cores

import pytest
import torchreid

import paul_plugin
from paul_plugin import host, synthetic

sys.path.insert(0, str(Path(__file__).parent))  # for reference_numbers


@pytest.fixture(autouse=True)
def seed() -> None:
    host.set_random_seed(0)


@pytest.fixture(scope='session')
def rendered(tmp_path_factory) -> Path:
    """A root with both synthetic domains: 48 training images of 8 people, 6 test people."""
    root = tmp_path_factory.mktemp('reid-data')
    for domain in ('source', 'target'):
        synthetic.render(root / f'synthetic_{domain}', domain, seed=5, train_ids=8, test_ids=6, images_per_id=6)
    return root


@pytest.fixture
def make_datamanager(rendered):
    """Makes a data manager of the rendered target, with surrogates."""

    def make(root=rendered, sources='synthetic_target', transforms=('random_flip', 'surrogate_positive'), **options):
        arguments = {'height': 96, 'width': 48, 'batch_size_train': 10, 'batch_size_test': 32, 'workers': 0}
        return torchreid.data.ImageDataManager(
            root=str(root), sources=sources, transforms=list(transforms), use_gpu=False, **{**arguments, **options}
        )

    return make


@pytest.fixture
def make_engine(make_datamanager):
    """Makes an engine of the unsupervised stage with a small model."""

    def make(datamanager=None, lr=0.01, model_options=(), **options):
        datamanager = datamanager or make_datamanager()
        model = torchreid.models.build_model(
            'paul_osnet_x0_25', pretrained=False, **{'loss': 'paul', 'dim': 16, **dict(model_options)}
        )
        optimizer = torchreid.optim.build_optimizer(model, optim='sgd', lr=lr, weight_decay=1e-4)
        scheduler = torchreid.optim.build_lr_scheduler(optimizer, stepsize=50)
        return paul_plugin.ImagePAULEngine(
            datamanager, model, optimizer, scheduler=scheduler, use_gpu=False, **{'k': 5, 'scale': 10.0, **options}
        )

    return make
