"""What a file of weights tells of its model, what is assumed where it does not, and what contradicts it."""

import json

import pytest
import torch
from safetensors.torch import save_file

from paul_plugin.checkpoints.weights import load_weights
from paul_plugin.commands import train
from paul_plugin.run.trained import open_trained
from paul_plugin.runtime.errors import UserError


@pytest.fixture(scope='module')
def state(make_trained):
    return {key: value for key, value in make_trained().model.state_dict().items() if 'classifier' not in key}


METADATA = {'height': 96, 'width': 48, 'mean': [0.5, 0.4, 0.3], 'std': [0.2, 0.2, 0.2], 'dist_metric': 'cosine'}


def test_metadata_tell_what_a_config_does_not(state, tmp_path, capsys):
    file = tmp_path / 'a.safetensors'
    save_file(state, file, metadata={'metadata': json.dumps(METADATA)})
    cfg = open_trained(file).cfg
    assert (cfg.data.height, cfg.data.width, cfg.test.dist_metric) == (96, 48, 'cosine')
    assert (cfg.data.norm_mean, cfg.data.norm_std) == (METADATA['mean'], METADATA['std'])
    assert 'assumed' not in capsys.readouterr().out
    save_file(state, file, metadata={'metadata': json.dumps(METADATA), 'config': 'data:\n  width: 64\n'})
    cfg = open_trained(file).cfg
    assert (cfg.data.height, cfg.data.width) == (96, 64)


@pytest.mark.parametrize('text', ['', '[]', '{"height": "96", "width": 48}', '{"height": -1, "width": 1}', '{', '1'])
def test_metadata_of_anything_are_passed_over_and_what_is_assumed_is_said(state, tmp_path, capsys, text):
    file = tmp_path / 'a.safetensors'
    save_file(state, file, metadata={'metadata': text})
    cfg = open_trained(file).cfg
    assert (cfg.data.height, cfg.data.width) == (384, 128)
    assert f'{file} does not tell the size of its images: 384x128 is assumed' in capsys.readouterr().out
    open_trained(file, 96, 48)
    assert 'assumed' not in capsys.readouterr().out


@pytest.mark.parametrize('config', ['[1, 2]', 'text', '7', 'null'])
def test_a_config_that_is_no_mapping(state, tmp_path, config):
    save_file(state, tmp_path / 'a.safetensors', metadata={'config': config})
    with pytest.raises(UserError, match='is damaged: its configuration cannot be read'):
        open_trained(tmp_path / 'a.safetensors')


@pytest.mark.parametrize(
    ('key', 'value', 'own'),
    [
        ('model.name', 'paul_osnet_x1_0', 'paul_osnet_x0_25'),
        ('paul.num_patches', 4, 6),
        ('paul.feature_dim', 8, 16),
        ('paul.patch_source', 'random', 'pgn'),
    ],
)
def test_opts_that_contradict_the_weights(make_trained, key, value, own):
    path = make_trained().path
    with pytest.raises(UserError, match=f'{key} {value}: the weights in .* are of a model with {key} {own}: leave it'):
        open_trained(path, opts=(key, value))
    assert open_trained(path, opts=(key, own)).dim == 96


def test_whole_numbers_in_the_place_of_weights(make_trained, state, tmp_path):
    key = 'backbone.conv1.conv.weight'
    torch.save({**state, key: state[key].char()}, tmp_path / 'a.pth')
    with pytest.raises(UserError, match=f'holds {key} as int8, the model has float32: its weights were quantised'):
        load_weights(make_trained().model, tmp_path / 'a.pth')


def test_a_run_takes_the_size_from_metadata(state, tmp_path, capsys):
    save_file(state, tmp_path / 'a.safetensors', metadata={'metadata': json.dumps({**METADATA, 'height': 64})})
    words = ['--config-file', 'configs/paul_synthetic.yaml', 'use_gpu', 'False', 'model.load_weights']
    cfg = train.config_of(train.parse([*words, str(tmp_path / 'a.safetensors')]))
    assert (cfg.paul.feature_dim, cfg.data.height, cfg.data.width) == (16, 64, 48)
    assert 'data.height 64' in capsys.readouterr().out
