"""The job on a folder of crops, from weights of its own."""

import pytest
import torch
import torchreid

from paul_plugin.commands import train


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'pretrained.pth.tar'
    torch.manual_seed(0)
    model = torchreid.models.build_model('paul_osnet_x0_25', pretrained=False, dim=8)
    torch.save({'state_dict': model.state_dict()}, path)
    return path


@pytest.fixture
def run(called, weights, tmp_path):
    """Runs the command line on a folder; returns what `called` does."""
    return lambda folder, *words, log='log': called(train.main, [
        '--config-file', 'configs/paul_folder.yaml', 'folder.path', str(folder), 'use_gpu', 'False',
        'model.name', 'paul_osnet_x0_25', 'model.load_weights', str(weights), 'paul.feature_dim', '8',
        'data.height', '48', 'data.width', '48', 'data.workers', '0', 'data.save_dir', str(tmp_path / log),
        'train.max_epoch', '1', 'train.batch_size', '12', 'train.lr', '0.01', 'paul.k', '3', *words,
    ])  # fmt: skip
