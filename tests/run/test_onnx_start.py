"""A run, and the tools, from an ONNX file as trackers ship it."""

import json
import shutil

import pytest
import torch
from helpers.onnx_files import build, export, renamed, save

from paul_plugin.checkpoints.norms import unmeasured
from paul_plugin.checkpoints.weights_file import WeightsFile
from paul_plugin.commands import main as paul
from paul_plugin.config.settings import with_keys
from paul_plugin.run.model_keys import config_of
from paul_plugin.run.norms import measure_on_training_images
from paul_plugin.run.trained import open_trained


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    return save(renamed(export(build('osnet_x0_25'), size=(48, 48))), tmp_path_factory.mktemp('onnx') / 'tracker.onnx')


@pytest.fixture
def tracker(whole, tmp_path):
    return shutil.copy(whole, tmp_path / 'tracker.onnx')


@pytest.fixture
def paul_says(called):
    return lambda *words: called(paul.main, 'paul', list(words))


def words_of(crops, tracker, tmp_path):
    return [
        'train', '--config-file', 'configs/paul_folder.yaml', 'folder.path', str(crops), 'model.load_weights',
        str(tracker), 'paul.feature_dim', '8', 'data.workers', '0', 'data.save_dir', str(tmp_path / 'log'), 'use_gpu',
        'False', 'train.max_epoch', '1', 'train.batch_size', '12', 'train.lr', '0.001', 'paul.k', '3',
    ]  # fmt: skip


def test_a_run_takes_model_and_size_from_the_file_and_measures_the_norms(crops, tracker, tmp_path, paul_says):
    status, out, err = paul_says(*words_of(crops, tracker, tmp_path))
    assert (status, err) == (0, err)
    assert 'model.name paul_osnet_x0_25' in out
    assert 'data.height 48, data.width 48' in out
    assert out.count('measured the statistics of 85 BatchNorm layers on 24 training images') == 1
    results = json.loads((tmp_path / 'log' / 'results.json').read_text())
    assert {'direct_transfer', 'adapted'} <= results.keys()
    assert unmeasured(open_trained(tmp_path / 'log').model) == []


def test_the_images_that_are_measured_are_drawn_by_the_seed(tracker, make_datamanager, capsys):
    """Whatever the order in which the disk has them; the number of images is limited."""
    trained = open_trained(tracker, opts=('data.workers', 0, 'use_gpu', False))
    names = unmeasured(trained.model)
    found = []
    for seed, turned in ((1, False), (1, True), (2, False)):
        datamanager = make_datamanager(height=48, width=48)
        items = datamanager.train_loader.dataset.data
        items.sort(reverse=turned)
        model = open_trained(tracker).model
        cfg = with_keys(trained.cfg, {'train.seed': seed})
        measure_on_training_images(cfg, model, datamanager, names, most=10)
        found.append(model.state_dict())
    assert 'measured the statistics of 85 BatchNorm layers on 10 training images' in capsys.readouterr().out
    one, again, other = (state['backbone.conv1.bn.running_mean'] for state in found)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize('size', [[0, 5], [1], 'ab', [1.5, 2], [True, 2], None])
def test_a_size_that_is_none_is_passed_over(size, tmp_path):
    assert config_of(WeightsFile(tmp_path, {'size': size, 'state_dict': {'layer': torch.ones(1)}})).data.height == 256


def test_tools_open_it(tracker, crops, tmp_path, paul_says):
    own = str(tracker)
    for words in (
        ['extract', own, str(crops / 'query'), str(tmp_path / 'd.npz')],
        ['group', own, str(crops / 'gallery'), str(tmp_path / 'g.csv')],
        ['visualize', 'ranking', own, '--query', str(next((crops / 'query').iterdir())), '--gallery',
         str(crops / 'gallery'), '--out', str(tmp_path / 'r.png')],
        ['export', own, str(tmp_path / 'e.safetensors')],
    ):  # fmt: skip
        status, _, err = paul_says(*words)
        assert status in (0, None), (words, err)
    images = sorted((crops / 'query').iterdir())[:3]
    shared = open_trained(tmp_path / 'e.safetensors')
    assert (shared.cfg.data.height, shared.cfg.data.width) == (48, 48)
    assert len(unmeasured(shared.model)) == 85  # six of them the branches'
    assert (shared.describe(images) == open_trained(tracker).describe(images)).all()
