"""Settings and fixtures shared by the tests: small rendered data sets and what trains on them."""

import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before torch is imported: several processes of tests share the cores

import filelock  # of torch's packages
import pytest
import torch
import torchreid
from helpers.crops import GALLERY, QUERY, TRAIN, market1501
from helpers.jobs import PROJECT, run_embedded_job

import paul_plugin
from paul_plugin.config.keys import get_default_config
from paul_plugin.data.synthetic.render import render
from paul_plugin.host.engine import set_random_seed
from paul_plugin.run.trained import open_trained


@pytest.fixture(autouse=True)
def own_folder(tmp_path_factory, monkeypatch) -> None:
    """Each test works in a folder of its own: the project's files, and nothing that a user's runs have left."""
    folder = tmp_path_factory.mktemp('working-folder')
    for name in ('configs', 'tools'):
        (folder / name).symlink_to(PROJECT / name)
    monkeypatch.chdir(folder)


@pytest.fixture(autouse=True)
def seed() -> None:
    set_random_seed(0)


@pytest.fixture(scope='session')
def made_once(tmp_path_factory):
    """Makes a folder once for all processes of the tests, which only read it: the first one makes it, others wait."""
    own = tmp_path_factory.getbasetemp()
    top = own.parent if 'PYTEST_XDIST_WORKER' in os.environ else own

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder, whole = top / name, top / f'{name}.whole'
        with filelock.FileLock(top / f'{name}.lock'):
            if not whole.exists():
                shutil.rmtree(folder, ignore_errors=True)
                make(folder)
                whole.touch()
        return folder

    return made


@pytest.fixture(scope='session')
def rendered_once(made_once) -> Path:
    def make(root: Path) -> None:
        for domain in ('source', 'target'):
            render(root / f'synthetic_{domain}', domain, seed=5, train_ids=8, test_ids=6, images_per_id=6)

    return made_once('rendered', make)


@pytest.fixture(scope='session')
def rendered(rendered_once, tmp_path_factory) -> Path:
    """A root with both synthetic domains: 48 training images of 8 people, 6 test people."""
    return shutil.copytree(rendered_once, tmp_path_factory.mktemp('data') / 'reid-data')


@pytest.fixture
def called(capsys):
    """Calls a command line within this process; returns the exit status and what it wrote to both streams."""

    def called(main, *arguments):
        try:
            main(*arguments)
            status = 0
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return called


@pytest.fixture
def market(tmp_path):
    """Market-1501's layout of its own for a test: 6 people to train on and 6 to test on, two cameras."""
    return market1501(tmp_path / 'reid-data')


@pytest.fixture
def crops(rendered, tmp_path):
    """The rendered target as a folder: 24 images to train on, without informative names, query and gallery."""
    top = tmp_path / 'crops'
    for number, path in enumerate(sorted((rendered / TRAIN).iterdir())[::2]):
        to = top / f'day {number % 3}' / f'{number * 7919 % 1000}.jpg'
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)
    for part, of in (('query', QUERY), ('gallery', GALLERY)):
        shutil.copytree(rendered / of, top / part)
    return top


@pytest.fixture
def bare(crops, tmp_path):
    """The same without labels."""
    return shutil.copytree(crops, tmp_path / 'bare', ignore=shutil.ignore_patterns('query', 'gallery'))


@pytest.fixture
def make_datamanager(rendered):
    """Makes a data manager of the rendered target, with surrogates."""

    def make(root=rendered, sources='synthetic_target', transforms=('random_flip', 'surrogate_positive'), **options):
        arguments = {'height': 96, 'width': 48, 'batch_size_train': 10, 'batch_size_test': 32, 'workers': 0}
        return torchreid.data.ImageDataManager(
            root=str(root), sources=sources, transforms=list(transforms), use_gpu=False, **{**arguments, **options}
        )

    return make


build = functools.partial(torchreid.models.build_model, 'paul_osnet_x0_25', pretrained=False)


@pytest.fixture
def make_engine(make_datamanager):
    """Makes an engine of the unsupervised stage with a small model; where no data manager is given, on small images."""

    def make(datamanager=None, lr=0.01, model_options=(), build=build, **options):
        datamanager = datamanager or make_datamanager(height=48)
        model = build(**{'loss': 'paul', 'dim': 16, **dict(model_options)})
        optimizer = torchreid.optim.build_optimizer(model, optim='sgd', lr=lr, weight_decay=1e-4)
        scheduler = torchreid.optim.build_lr_scheduler(optimizer, stepsize=50)
        return paul_plugin.ImagePAULEngine(
            datamanager, model, optimizer, scheduler=scheduler, use_gpu=False, **{'k': 5, 'scale': 10.0, **options}
        )

    return make


@pytest.fixture(scope='session')
def make_trained(rendered, tmp_path_factory):
    """Makes a trained model as the tools take it, of random weights, with a memory bank, tested on the target."""

    def make(seed=0):
        torch.manual_seed(seed)
        name = 'paul_osnet_x0_25'
        cfg = get_default_config()
        cfg.data.update({'root': str(rendered), 'sources': ['synthetic_target'], 'targets': ['synthetic_target']})
        cfg.data.update({'height': 96, 'width': 48, 'workers': 0})
        cfg.model.name = name
        model = torchreid.models.build_model(name, pretrained=False, loss='paul', dim=16)
        model(torch.randn(8, 3, 96, 48))  # BatchNorm has statistics of its own
        bank = torch.nn.functional.normalize(torch.randn(6, 48, 16), dim=2)
        memory = {'bank': bank, 'filled': torch.arange(48) < 40}
        path = tmp_path_factory.mktemp('trained') / 'weights.pth'
        torch.save({'state_dict': model.state_dict(), 'memory': memory, 'config': cfg.dump()}, path)
        return open_trained(path)

    return make


@pytest.fixture(scope='session')
def embedded_once(rendered_once, made_once) -> Path:
    """The embedded job in small, from random weights: the folder of its run, to be read only."""
    return made_once('embedded', lambda folder: run_embedded_job(rendered_once, folder))


@pytest.fixture(scope='session')
def embedded_run(embedded_once, tmp_path_factory) -> Path:
    """The same in a folder that other processes do not share: tools may write into it."""
    return shutil.copytree(embedded_once, tmp_path_factory.mktemp('embedded') / 'run')
