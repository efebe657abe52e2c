"""The job on a folder of crops, with and without labels."""

import json
import os
import shutil

import pytest
import torch
from helpers.jobs import PROJECT

from paul_plugin.commands import run_words
from paul_plugin.config import checks
from paul_plugin.config.settings import with_keys
from paul_plugin.run.build import scale_for
from paul_plugin.run.data import build_datamanager
from paul_plugin.run.start import stage_config


def state(path):
    return torch.load(path, weights_only=True)


def test_the_job_with_and_without_labels_trains_the_same(run, crops, bare, tmp_path, rendered):
    for top in (crops, bare):
        (top / 'day 0/damaged.jpg').write_text('no image')
    status, out, err = run(crops)
    assert status == 0, err
    assert out.count('1 training images were left out') == 2  # at the start and at the end
    assert out.count('paul.scale auto: takes 5 for ') == 1
    results = json.loads((tmp_path / 'log/results.json').read_text())
    assert results.keys() == {'direct_transfer', 'adapted'}
    assert all(of.keys() == RESULTS for of in results.values())
    assert 'Results on folder' in out

    status, out, err = run(bare, 'train.max_epoch', '2', 'test.eval_freq', '1', log='second')
    assert status == 0, err
    assert out.count('No test on folder, which has no query and gallery images: training runs without tests') == 1
    assert f'The adapted model is {tmp_path}/second/model/model.pth.tar-2' in out
    assert 'Direct transfer' not in out
    assert out.rstrip().endswith('Name the cameras by folder.camera to get signs without labels')
    assert 'Infinity' not in (tmp_path / 'second/history.json').read_text()
    assert sorted(os.listdir(tmp_path / 'second/model')) == ['model.pth.tar-1', 'model.pth.tar-2']
    assert not (tmp_path / 'second/results.json').exists()
    found, expected = state(tmp_path / 'second/model/model.pth.tar-1'), state(tmp_path / 'log/model/model.pth.tar-1')
    assert all(found['state_dict'][name].equal(tensor) for name, tensor in expected['state_dict'].items())
    assert found['memory']['bank'].equal(expected['memory']['bank'])
    assert found['images'] == expected['images']

    # Measured afterwards, the model of the run without labels gives the same numbers.
    first = str(tmp_path / 'second/model/model.pth.tar-1')
    status, out, err = run(crops, 'model.load_weights', first, 'test.evaluate', 'True', log='measured')
    assert status == 0, err
    measured = json.loads((tmp_path / 'measured/results_test.json').read_text())
    assert measured == {'adapted': results['adapted'], 'weights': first}

    # Going on from there; with another target, which alone is tested; and anew where an earlier run had labels.
    status, out, err = run(bare, 'train.max_epoch', '2', 'test.eval_freq', '1', 'model.resume', 'auto', log='second')
    assert status == 0, err
    assert 'No results' in out
    status, out, err = run(
        bare, '--root', str(rendered), '-t', 'folder', 'synthetic_target', *SYNTHETIC, 'train.max_epoch', '0',
        'test.centre_cameras', 'False',  # which compares cameras of one data set
    )
    assert status == 0, err
    assert 'No test on folder, which has no query and gallery images\n' in out
    assert json.loads((tmp_path / 'log/results.json').read_text())['direct_transfer'].keys() == RESULTS
    assert 'Results on synthetic_target' in out
    status, out, err = run(bare, 'train.max_epoch', '0')
    assert status == 0, err
    assert not (tmp_path / 'log/results.json').exists()


RESULTS = {'mAP', 'rank1', 'rank5', 'rank10'}
SYNTHETIC = [
    'train.seed', '5', 'paul.synthetic.train_ids', '8', 'paul.synthetic.test_ids', '6',
    'paul.synthetic.images_per_id', '6',
]  # fmt: skip


def test_the_pretraining_stage_has_its_own_data(rendered, crops):
    """It trains on data sets of data.root, while the folder is elsewhere; it may test on the folder."""
    cfg = run_words.load_config(
        ['--config-file', str(PROJECT / 'configs/paul_synthetic.yaml'), '-s', 'folder', '-t', 'folder']
        + ['--root', str(rendered), 'folder.path', str(crops), 'data.workers', '0', *SYNTHETIC]
        + ['paul.pretrain.opts', "['data.targets', ['synthetic_source', 'folder']]"]
    )
    stage = stage_config(cfg)
    adapted, pretrained = build_datamanager(cfg), build_datamanager(stage)
    assert (len(adapted.train_loader.dataset), len(pretrained.train_loader.dataset)) == (24, 48)
    assert all(str(crops) in item[0] for item in adapted.train_loader.dataset.data)
    assert all(str(rendered) in item[0] for item in pretrained.train_loader.dataset.data)
    assert list(pretrained.test_loader) == ['synthetic_source', 'folder']


@pytest.mark.parametrize(
    ('count', 'words', 'expected'),
    [
        (None, '', 'the folder of crops FOLDER is not there: name a folder (folder.path in a config)'),
        (0, '', 'no image to train on in the folder'),
        (1, '', '1 training images do not make one batch of train.batch_size 12: add images, a batch has at least 5'),
        (9, '', '9 training images do not make one batch of train.batch_size 12: lower it'),
        (9, 'train.batch_size 9 paul.k 9', 'error: paul.k 9 needs more training images than that, there are 9'),
        (20, 'test.evaluate True', 'folder has no images to test on: give the folder sub-folders query and gallery'),
        (20, 'paul.positives patch folder.camera ([0-9])[^/]*$ paul.k_camera 20', "error: neighbours='camera' with k"),
        (20, 'folder.labels none.csv', 'no file none.csv (folder.labels)'),
        (
            20,
            'loss.name softmax test.centre_cameras False',
            "data.sources = ['folder']: the data set folder has no labels",
        ),
    ],
)
def test_refuses_in_one_line_before_any_work(run, bare, tmp_path, count, words, expected):
    top = tmp_path / 'few'
    if count is not None:
        top.mkdir()
        for path in sorted(bare.rglob('*.jpg'))[:count]:
            shutil.copy(path, top / path.name)
    status, out, err = run(top, *words.split())
    assert status == 2, err
    lines = [line for line in err.splitlines() if line.startswith('error: ')]
    assert any(expected.replace('FOLDER', repr(str(top))) in line for line in lines), err
    assert len(lines) == 1
    assert 'Traceback' not in err
    assert not list(tmp_path.rglob('*.pth*'))


@pytest.mark.parametrize(
    ('images', 'asked', 'scale', 'said'),
    [
        (1999, 'auto', 5.0, 'paul.scale auto: takes 5 for 1999 training images\n'),
        (2000, 'auto', 10.0, 'paul.scale auto: takes 10 for 2000 training images\n'),
        (900, 30.0, 30.0, ''),
    ],
)
def test_fewer_crops_get_a_smaller_scale(images, asked, scale, said, capsys):
    assert scale_for(images, asked) == scale
    assert capsys.readouterr().out == said


def test_the_config_file():
    cfg = run_words.load_config(['--config-file', str(PROJECT / 'configs/paul_folder.yaml'), 'use_gpu', 'False'])
    checks.check_config(cfg)
    market = run_words.load_config(['--config-file', str(PROJECT / 'configs/paul_market.yaml'), 'use_gpu', 'False'])
    for other in (cfg, market):
        other.data.update({'sources': [], 'targets': [], 'save_dir': '', 'bad_images': ''})
    assert (cfg.paul.neighbours, market.paul.neighbours) == ('camera', 'all')  # the cameras are beside the paper
    assert (cfg.paul.keep, market.paul.keep) == ('best', 'last')
    assert (cfg.train.lr, cfg.paul.weight_ipfl) == ('auto', 0.0)  # on small folders the paper's gain nothing
    assert (cfg.paul.positives, cfg.test.centre_cameras, cfg.test.camera_norms) == ('reciprocal', True, False)
    assert cfg.data.transforms == ['random_flip']  # surrogates serve IPFL alone
    assert cfg.paul.scale == 'auto'  # the paper's 10 and 30 are for many crops
    paul = {f'paul.{name}': market.paul[name] for name in ['neighbours', 'keep', 'positives', 'weight_ipfl', 'scale']}
    assert (cfg.train.optim, cfg.train.lr_scheduler, cfg.train.max_epoch) == ('adam', 'cosine', 10)
    train = {f'train.{name}': market.train[name] for name in ('optim', 'lr', 'lr_scheduler', 'stepsize', 'max_epoch')}
    others = {'test.centre_cameras': False, 'data.transforms': market.data.transforms, **train}
    others['test.eval_freq'] = market.test.eval_freq
    assert with_keys(cfg, paul | others) == market
