"""Weights that an earlier pre-training left in the folder serve its own settings only."""

import pytest
import torch
from helpers.configs import loaded

from paul_plugin.config.settings import with_keys
from paul_plugin.run.start import PRETRAINED, find_start, stage_config
from paul_plugin.runtime.errors import UserError

WORDS = '--config-file configs/paul_synthetic.yaml use_gpu False'


@pytest.fixture
def cfg(tmp_path):
    return loaded(*WORDS.split(), 'data.save_dir', str(tmp_path))


def leave(cfg, folder):
    torch.save({'state_dict': {}, 'config': stage_config(cfg).dump()}, folder / PRETRAINED)


def test_the_same_settings_take_it(cfg, tmp_path):
    leave(cfg, tmp_path)
    start = find_start(cfg)
    assert start.pretraining is None
    assert start.weights == str(tmp_path / PRETRAINED)


@pytest.mark.parametrize(
    ('key', 'value', 'words'),
    [('train.seed', 7, 'train.seed from 1 to 7'), ('data.height', 64, 'data.height from 96 to 64'),
     ('paul.pretrain.opts', ['train.max_epoch', 3], 'train.max_epoch from 25 to 3'),
     ('paul.pretrain.opts', ['train.lr', 0.5], 'train.lr from 0.0003 to 0.5')],
)  # fmt: skip
def test_others_are_refused(cfg, tmp_path, key, value, words):
    leave(cfg, tmp_path)
    cfg = with_keys(cfg, {key: value})
    with pytest.raises(UserError, match=f'pre-training with other settings: {words}.*model.load_weights'):
        find_start(cfg)
    named = with_keys(cfg, {'model.load_weights': str(tmp_path / PRETRAINED)})  # by its name it is what the user wants
    assert find_start(named).weights == str(tmp_path / PRETRAINED)
