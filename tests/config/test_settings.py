"""Values from text, and config files."""

import pytest
from helpers.configs import PAUL, errors_of, loaded

from paul_plugin.commands.run_words import load_config
from paul_plugin.config import keys, settings
from paul_plugin.config.keys import get_default_config
from paul_plugin.config.settings import merge_file, with_keys
from paul_plugin.runtime.errors import nearest


@pytest.mark.parametrize(
    ('key', 'text', 'value'),
    [
        ('train.lr', '1', 1.0),
        ('train.lr', '1e-4', 1e-4),
        ('train.lr', 'auto', 'auto'),
        ('train.lr', "'auto'", 'auto'),
        ('paul.surrogate.crop', '(0.5, 1)', [0.5, 1.0]),
        ('train.stepsize', '30', [30]),
        ('data.sources', 'market1501', ['market1501']),
        ('data.sources', "['a', 'b']", ['a', 'b']),
        ('data.transforms', 'None', []),
        ('data.transforms', 'Random_Flip', ['random_flip']),
        ('data.save_dir', '2024', '2024'),
        ('data.save_dir', "'log dir'", 'log dir'),
        ('model.load_weights', 'None', ''),
        ('test.evaluate', 'true', True),
        ('paul.pretrain.opts', "['train.max_epoch', 1]", ['train.max_epoch', 1]),
    ],
)
def test_accepted_values(key, text, value):
    found = keys.value_of(loaded(key, text), key)
    assert found == value
    assert type(found) is type(value)
    if isinstance(value, list):
        assert [type(item) for item in found] == [type(item) for item in value]


def test_targets_none_are_the_sources():
    assert loaded('data.targets', 'None', '-s', 'a', 'b').data.targets == ['a', 'b']
    assert loaded('-s', 'a').data.targets == ['market1501']


def test_keys_of_a_list():
    cfg = with_keys(get_default_config(), ['train.max_epoch', 1, 'train.lr', '1e-3', 'data.sources', ['a']])
    assert (cfg.train.max_epoch, cfg.train.lr, cfg.data.sources) == (1, 1e-3, ['a'])
    assert len(errors_of(with_keys, cfg, ['train.lrr', 1, 'train.max_epoch', '1.5', 'x'])) == 3


def test_a_config_survives_its_dump(write):
    cfg = loaded(*PAUL, 'train.lr', '1e-4', 'paul.pretrain.opts', "['train.max_epoch', 1]")
    again = get_default_config()
    merge_file(again, write(cfg.dump()))
    assert again == cfg


def test_nearest():
    assert nearest('trian', ['train', 'test']) == " (did you mean 'train'?)"
    assert nearest('x', ['train']) == ''


# ---- config files --------------------------------------------------------------------------------------------------


def test_file_values(write):
    cfg = get_default_config()
    text = 'train: {lr: 1e-4, weight_decay: 0}\ndata: {sources: a}\nmodel: {load_weights: }\nsgd:\ntest.rerank: yes'
    merge_file(cfg, write(text))
    assert (cfg.train.lr, cfg.train.weight_decay, cfg.data.sources) == (1e-4, 0.0, ['a'])
    assert type(cfg.train.weight_decay) is float
    assert (cfg.model.load_weights, cfg.sgd.momentum, cfg.test.rerank) == ('', 0.9, True)
    merge_file(cfg, write(''))


@pytest.mark.parametrize(
    ('text', 'parts'),
    [
        ('train: {lrr: 1}', ["unknown key 'train.lrr'", "did you mean 'train.lr'"]),
        ('trian: {lr: 1}', ["unknown key 'trian'", "did you mean 'train"]),
        ('train: 5', ['train is a group of keys']),
        ('train: &a {lr: *a}', ['train.lr = ', 'expected float']),
        ('train:\n  lr: fast', ["train.lr = 'fast'", 'expected float, such as 0.0003, or auto']),
        ('train:\n  lr:', ['train.lr = None', 'expected float']),
        ('data: {root: 5}', ['data.root = 5', 'expected str', 'quotes']),
        ('model:\n  name: [a\ntrain: 1', ['line 3', 'not valid YAML']),
        ('a: 2024-99-99', ['not valid YAML', 'month']),
        ('[' * 5000, ['not valid YAML']),
        ('just words', ["'just words'", 'expected keys and values']),
    ],
)
def test_bad_file(text, parts, write):
    path = write(text)
    (error,) = errors_of(merge_file, get_default_config(), path)
    assert path in error
    assert all(part in error for part in parts), error


def test_unreadable_file(write, tmp_path):
    write('', 'paul.yaml')
    (error,) = errors_of(load_config, ['--config-file', str(tmp_path / 'pual.yaml')])
    assert 'pual.yaml: No such file' in error
    assert "did you mean 'paul.yaml'" in error
    assert 'no/such' in errors_of(load_config, ['--config-file', 'no/such/file.yaml'])[0]
    assert str(tmp_path) in errors_of(load_config, ['--config-file', str(tmp_path)])[0]
    (tmp_path / 'latin.yaml').write_bytes(b'model: {name: \xe9}')
    assert 'not UTF-8' in errors_of(load_config, ['--config-file', str(tmp_path / 'latin.yaml')])[0]


@pytest.mark.parametrize(
    'text', ["!!python/object/apply:os.system ['touch {}']", "model: !!python/object/apply:os.mkdir ['{}']"]
)
def test_yaml_runs_nothing(text, write, tmp_path):
    trace = tmp_path / 'trace'
    (error,) = errors_of(merge_file, get_default_config(), write(text.format(trace)))
    assert 'line 1' in error
    assert 'python/object/apply' in error
    assert not trace.exists()


def test_a_python_file_is_not_run(write, tmp_path):
    trace = tmp_path / 'trace'
    errors_of(merge_file, get_default_config(), write(f'open({str(trace)!r}, "w")\ncfg = dict()\n', 'run.py'))
    assert not trace.exists()


def test_pretrain_config_is_found_and_absolute(write, tmp_path, monkeypatch):
    pretrain = 'paul: {pretrain: {config: configs/pre.yaml}}'
    beside = write('', 'configs/sub/pre.yaml')
    naming = write('paul: {pretrain: {config: pre.yaml}}', 'configs/sub/run.yaml')
    from_here = write('', 'configs/pre.yaml')
    monkeypatch.chdir(tmp_path)
    assert loaded('--config-file', naming).paul.pretrain.config == beside
    assert loaded('--config-file', write(pretrain)).paul.pretrain.config == from_here
    assert loaded('--config-file', write(pretrain, 'configs/run.yaml')).paul.pretrain.config == from_here
    assert loaded('paul.pretrain.config', 'configs/pre.yaml').paul.pretrain.config == from_here
    assert loaded().paul.pretrain.config == ''


def test_files_that_are_too_long_or_name_a_key_twice(tmp_path, monkeypatch):
    file = tmp_path / 'a.yaml'
    file.write_text('train:\n  lr: 1\n  lr: 2\n')
    assert 'lr stands twice' in errors_of(merge_file, get_default_config(), str(file))[0]
    monkeypatch.setattr(settings, '_LARGEST_FILE', 10)
    (told,) = errors_of(merge_file, get_default_config(), str(file))
    assert told == f'cannot read the config file {file}: it has more than 10 bytes'
    with pytest.raises(ValueError, match='more than 10 characters'):
        settings.parse('x' * 11)
