"""The command line: options and KEY VALUE pairs in any order, what is wrong with them, the help."""

from pathlib import Path

import pytest
from helpers.configs import errors_of, loaded

from paul_plugin.commands import run_words
from paul_plugin.commands.run_words import load_config
from paul_plugin.config.keys import all_keys, get_default_config


@pytest.mark.parametrize(
    'line',
    [
        '-s a -t a b --root R train.lr 0.1 test.eval_freq -1',
        '--root R train.lr 0.1 --targets a b test.eval_freq -1 --sources a',
        'test.eval_freq -1 train.lr 0.1 --root=R --targets=a b --sources=a',
        "train.lr 0.1 data.sources a data.targets ['a','b'] data.root R",
        'train.lr 0.1 data.sources [a] data.targets [a,b] data.root R',
        '-s x -t a b -s a train.lr 9 train.lr 0.1 --roo R',
    ],
)
def test_any_order_gives_the_same_config(line):
    cfg = loaded(*line.split())
    assert (cfg.data.sources, cfg.data.targets, cfg.data.root) == (['a'], ['a', 'b'], 'R')
    assert (cfg.train.lr, cfg.test.eval_freq) == (0.1, -1)


def test_a_key_ends_every_list_of_names():
    line = '--transforms random_flip random_erase use_gpu False -s market1501 cuhk03 data.height 64'
    cfg = load_config(line.split())
    assert cfg.data.transforms == ['random_flip', 'random_erase']
    assert cfg.data.sources == ['market1501', 'cuhk03']
    assert (cfg.use_gpu, cfg.data.height) == (False, 64)


def test_precedence(write):
    path = write('data: {root: file, sources: [file], targets: [file]}\ntrain: {lr: 0.5}')
    cfg = loaded('data.sources', 'pair', '--config-file', path, '-s', 'option', '-t', 'option')
    assert (cfg.data.root, cfg.data.sources, cfg.data.targets) == ('file', ['pair'], ['option'])
    assert (cfg.train.lr, cfg.train.gamma) == (0.5, 0.1)


def test_use_gpu_follows_the_machine_unless_set(monkeypatch, write):
    monkeypatch.setattr(run_words, 'has_gpu', lambda: True)
    assert load_config([]).use_gpu is True
    assert load_config(['use_gpu', 'False']).use_gpu is False
    assert load_config(['--config-file', write('use_gpu: false')]).use_gpu is False


def test_help(capsys):
    with pytest.raises(SystemExit) as ended:
        load_config(['-s', 'a', '--help'], 'Trains a model.')
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(word in text for word in ('Trains a model.', '--config-file', '--keys [WORD]', 'KEY VALUE', 'example:'))


@pytest.mark.parametrize(
    ('line', 'parts'),
    [
        ('train.lr', ['train.lr is a KEY without a VALUE']),
        ('trian.lr 0.1', ["unknown key 'trian.lr'", "did you mean 'train.lr'"]),
        ('train.lrr', ["unknown key 'train.lrr'", "did you mean 'train.lr'", 'without a VALUE']),
        ('nonsense 0.1', ["unknown key 'nonsense'", '--keys lists them']),
        ('max_epoch 1', ["unknown key 'max_epoch'", "did you mean 'train.max_epoch'"]),
        ('loss triplet', ['loss is a group of keys', 'loss.name']),
        ('train.lr abc', ["train.lr = 'abc'", 'expected float, such as 0.0003']),
        ('train.max_epoch 1.5', ["train.max_epoch = '1.5'", 'expected int, such as 60']),
        ('test.evaluate 1', ["test.evaluate = '1'", 'expected bool, such as False']),
        ('train.stepsize [20,a]', ["train.stepsize = '[20,a]'", 'expected list of int', '[20]']),
        ('paul.surrogate.crop [0.5,x]', ['paul.surrogate.crop', 'expected list of float', '[0.7, 0.95]']),
        ('--rot R', ["unknown option '--rot'", "did you mean '--root'"]),
        ('--config x.yaml --source a --tar', ['option --targets needs a value']),
        ('--t a', ["unknown option '--t'"]),  # --targets or --transforms
        ('-s -t a', ['option --sources needs a value']),
    ],
)
def test_bad_command_line(line, parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('x.yaml').touch()
    (error,) = errors_of(load_config, line.split())
    assert all(part in error for part in parts), error


def test_all_errors_are_reported_together(write):
    path = write('train: {lr: fast}\ntest: {rank: 1}')
    errors = errors_of(load_config, ['--foo', '--config-file', path, 'model.nam', 'x', 'train.max_epoch'])
    assert len(errors) == 5
    assert sum(path in error for error in errors) == 2


@pytest.mark.parametrize('line', ['--keys train.lr_', '--keys=train.lr_', '-s a --keys train.lr_ trian.lr 0.1'])
def test_keys_are_printed(line, capsys):
    with pytest.raises(SystemExit) as ended:
        load_config(line.split())
    assert ended.value.code == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        "train.lr_scheduler = 'single_step'  (one of single_step, multi_step, cosine)"
    )


@pytest.mark.parametrize('line', ['--keys', '--keys -s a'])
def test_all_keys_are_printed(line, capsys):
    with pytest.raises(SystemExit) as ended:
        load_config(line.split())
    out = capsys.readouterr().out
    assert ended.value.code == 0
    assert out.startswith('use_gpu = False')
    assert all(f'\n{key} = ' in out for key in all_keys(get_default_config())[1:])
