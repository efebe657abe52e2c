"""Configs that come with the package, by name: on the command line, in the ablation, as the pre-training's."""

import os
from pathlib import Path

import pytest
from helpers.jobs import PROJECT

from paul_plugin.commands.ablate import split_words
from paul_plugin.commands.run_words import load_config, parse
from paul_plugin.config import packaged
from paul_plugin.config.settings import with_keys
from paul_plugin.runtime.errors import UserError


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_all_files_have_names():
    assert packaged.names() == sorted(path.stem for path in (PROJECT / 'configs').glob('*.yaml'))


@pytest.mark.parametrize('name', ['paul_market', 'paul_market.yaml'])
@pytest.mark.parametrize('words', [[], ['--config-file']])
def test_a_name_gives_the_file(name, words):
    cfg = load_config([*words, name, 'train.max_epoch', '3', 'use_gpu', 'False'])
    expected = load_config(['--config-file', str(PROJECT / 'configs/paul_market.yaml'), 'use_gpu', 'False'])
    assert cfg.train.max_epoch == 3
    assert cfg == with_keys(expected, {'train.max_epoch': 3})
    assert os.path.isfile(cfg.paul.pretrain.config)  # which stands beside the file


def test_a_file_at_the_path_wins():
    Path('paul_market').write_text('train: {max_epoch: 7}')
    Path('mine.yaml').write_text('train: {max_epoch: 8}')
    Path('paul_duke').mkdir()  # is none
    assert parse(['paul_market']).cfg.train.max_epoch == 7
    assert parse(['mine.yaml']).cfg.train.max_epoch == 8
    assert parse(['paul_duke']).cfg.paul.scale == 10


def test_the_pretraining_is_found_by_name():
    assert parse(['paul.pretrain.config', 'pretrain_msmt17']).cfg.paul.pretrain.config == packaged.find(
        'pretrain_msmt17'
    )
    assert parse(['paul.pretrain.config', 'no']).cfg.paul.pretrain.config == os.path.abspath('no')


@pytest.mark.parametrize(
    ('line', 'expected'),
    [
        ('paul_markt', "did you mean 'paul_market'?): the configs that come with the package are paul_duke, "),
        ('paul_markt train.lr 0.1', "did you mean 'paul_market'?"),
        ('paul_markt --root data', "did you mean 'paul_market'?"),
        ('configs/paul_market.yaml', "did you mean 'paul_market'?"),
        ('paul_market --config-file paul_duke', "two configs, 'paul_market' and 'paul_duke': name one"),
    ],
)
def test_what_is_no_config(line, expected):
    with pytest.raises(UserError) as error:
        parse(line.split())
    assert expected in str(error.value)
    assert '\n' not in str(error.value)


def test_the_words_of_an_ablation_begin_with_a_config():
    own, words = split_words(['k', 'paul_synthetic', '--seeds', '1', '2', 'paul.scale', '20'])
    assert own == ['k', '--seeds', '1', '2']
    assert words == ['paul_synthetic', 'paul.scale', '20']
    assert parse(words).cfg.paul.scale == 20
