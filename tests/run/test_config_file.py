"""The configuration of a run: what the log shows of it, and the file in its folder that does the run again."""

import pytest
import torch
from helpers.configs import errors_of
from helpers.jobs import PROJECT

from paul_plugin.checkpoints.weights_file import WeightsFile
from paul_plugin.commands import train
from paul_plugin.commands.run_words import load_config
from paul_plugin.config.settings import with_keys
from paul_plugin.run.config_file import write_config
from paul_plugin.run.start import Start


def config(*words):
    path = str(PROJECT / 'configs/paul_synthetic.yaml')
    return load_config(['--config-file', path, 'use_gpu', 'False', *map(str, words)])


def read(path):
    return load_config(['--config-file', str(path)])


def test_the_file_does_the_run_again(embedded_once, tmp_path, capsys):
    train.main(['--config-file', str(embedded_once / 'config.yaml'), 'data.save_dir', str(tmp_path)])
    for name in ('results.json', 'history.json', 'signs.json'):
        assert (tmp_path / name).read_bytes() == (embedded_once / name).read_bytes()
    ours, theirs = (
        torch.load(folder / 'model/model.pth.tar-1', weights_only=True) for folder in (tmp_path, embedded_once)
    )
    assert all(value.equal(theirs['state_dict'][name]) for name, value in ours['state_dict'].items())
    files = [(folder / 'config.yaml').read_text() for folder in (tmp_path, embedded_once)]
    assert files[0] == files[1].replace(str(embedded_once), str(tmp_path))
    assert len(files[0].splitlines()) > 100


def test_the_log_shows_what_is_not_the_default(embedded_once):
    log = next(embedded_once.glob('train.log*')).read_text().partition('\n\n')[0].splitlines()
    assert log[0] == f'Configuration, where it is not the default; all of it is in {embedded_once}/config.yaml'
    assert '  train.batch_size: 16' in log
    assert "  data.sources: ['synthetic_target']" in log
    assert not any(line.startswith('  test.batch_size') for line in log)
    assert len(log) < 40


def test_it_is_the_users_and_not_what_a_start_made_of_it(tmp_path):
    cfg = config('data.save_dir', tmp_path, 'model.resume', 'auto', 'paul.pretrain.opts', "['train.max_epoch', 1]")
    write_config(cfg, Start(with_keys(cfg, {'model.load_weights': str(tmp_path / 'pretrained.pth.tar')})))
    assert read(tmp_path / 'config.yaml') == with_keys(cfg, {'model.resume': ''})  # it is told from its beginning


def test_a_run_that_goes_on_keeps_the_weights_that_it_began_with(tmp_path):
    save = ('data.save_dir', tmp_path)
    point = WeightsFile(tmp_path / 'model/model.pth.tar-2', {})
    write_config(cfg := config(*save, 'model.load_weights', 'weights.pth'), Start(cfg))
    for words in (['model.resume', 'auto'], [], ['model.resume', point.path]):  # the second: started by torchrun
        cfg = config(*save, *words, 'train.max_epoch', 24)
        write_config(cfg, Start(cfg, point))
        found = read(tmp_path / 'config.yaml')
        assert (found.model.load_weights, found.model.resume, found.train.max_epoch) == ('weights.pth', '', 24)
    # A run that starts anew begins with its own, and one from another folder's checkpoint with that.
    write_config(cfg := config(*save), Start(cfg))
    assert read(tmp_path / 'config.yaml').model.load_weights == ''
    other = tmp_path / 'other/model/model.pth.tar-2'
    write_config(cfg := config(*save, 'model.resume', other), Start(cfg, WeightsFile(other, {})))
    assert read(tmp_path / 'config.yaml').model.resume == str(other)


def test_a_test_alone_leaves_that_of_the_training(tmp_path):
    save = ('data.save_dir', tmp_path)
    write_config(cfg := config(*save), Start(cfg))
    before = (tmp_path / 'config.yaml').read_bytes()
    cfg = config(*save, 'test.evaluate', 'True', 'model.resume', 'auto')
    write_config(cfg, Start(cfg, WeightsFile(tmp_path / 'model/model.pth.tar-2', {})))
    assert (tmp_path / 'config.yaml').read_bytes() == before
    assert read(tmp_path / 'config_test.yaml') == cfg


@pytest.mark.parametrize('content', [b'# mine\ntrain: {lr: 0.1}\n', b'', bytes(range(256))])
def test_a_file_of_the_users_is_not_written_over(tmp_path, content):
    path = tmp_path / 'config.yaml'
    path.write_bytes(content)
    cfg = config('data.save_dir', tmp_path)
    (line,) = errors_of(write_config, cfg, Start(cfg))
    assert line.startswith(f'{path} is no file of a run, ')
    assert path.read_bytes() == content


def test_weights_of_a_file_that_was_damaged(tmp_path):
    """They are forgotten, and the run goes on."""
    cfg = config('data.save_dir', tmp_path)
    write_config(cfg, Start(cfg))
    path = tmp_path / 'config.yaml'
    path.write_text(path.read_text()[:200] + '\n  [')
    write_config(cfg, Start(cfg, WeightsFile(tmp_path / 'model/model.pth.tar-2', {})))
    assert read(path) == cfg
