"""The whole job from a config, as `tools/main.py` runs it, on a few rendered images; and what it refuses."""

import json
import re
import sys

import pytest
import torch
from helpers.layouts import LAYOUTS
from torchreid import models

from paul_plugin.commands import train
from paul_plugin.data.synthetic.render import render

SMALL = [
    'data.workers', '0', 'train.print_freq', '1', 'train.max_epoch', '1', 'data.height', '48', 'data.width', '48'
]  # fmt: skip


@pytest.fixture
def run(called, rendered, tmp_path):
    return lambda *words, root=rendered: called(
        train.main, [*words, '--root', str(root), 'data.save_dir', str(tmp_path / 'log')]
    )


def synthetic_words(**pretrain):
    opts = {'train.max_epoch': 1, 'train.batch_size': 8, 'data.transforms': ['random_flip'], **pretrain}
    return [
        '--config-file', 'configs/paul_synthetic.yaml', *SMALL,
        'train.batch_size', '8', 'paul.k', '3', 'train.seed', '5',
        'paul.synthetic.train_ids', '8', 'paul.synthetic.test_ids', '6', 'paul.synthetic.images_per_id', '6',
        'paul.pretrain.opts', str([part for pair in opts.items() for part in pair]),
    ]  # fmt: skip


def test_embedded_job(run, tmp_path):
    status, out, err = run(*synthetic_words())
    assert status == 0, err
    results = json.loads((tmp_path / 'log/results.json').read_text())
    assert results.keys() == {'direct_transfer', 'adapted'}
    for stage in results.values():
        assert stage.keys() == {'mAP', 'rank1', 'rank5', 'rank10'}
        assert all(0 < value <= 1 for value in stage.values())
    table = out[out.index('Results on synthetic_target') :]
    for stage, name in (('direct_transfer', 'direct transfer'), ('adapted', 'adapted')):
        (line,) = [line for line in table.splitlines() if line.startswith(name)]
        assert line.split()[-4:] == [f'{100 * results[stage][key]:.1f}' for key in ('mAP', 'rank1', 'rank5', 'rank10')]
    assert list((tmp_path / 'log').glob('train.log-*'))
    assert (tmp_path / 'log/model/model.pth.tar-1').exists()

    # Again: the weights are there, so the pre-training is not repeated, and the numbers are the same.
    status, out, err = run(*synthetic_words())
    assert status == 0, err
    assert 'Pre-training' not in out
    assert json.loads((tmp_path / 'log/results.json').read_text()) == results


def test_a_start_from_random_weights_is_seeded(run, tmp_path):
    results = []
    for _ in range(2):
        status, _, err = run(*synthetic_words(), 'paul.pretrain.config', '', 'test.evaluate', 'True')
        assert status == 0, err
        results.append((tmp_path / 'log/results_test.json').read_text())
        torch.rand(1)
    assert results[0] == results[1]


def test_a_real_layout(run, tmp_path):
    """paul_market.yaml with a few people, one epoch, small batches and small images."""
    counts = {'train_ids': 4, 'test_ids': 3, 'images_per_id': 4}
    for place, domain, benchmark in (('market1501', 'target', 'market1501'), ('msmt17', 'source', 'msmt17')):
        render(tmp_path / place, domain, seed=5, **counts)
        LAYOUTS[benchmark](tmp_path / place)
    status, out, err = run(
        '--config-file', 'configs/paul_market.yaml', *SMALL, 'train.batch_size', '8', 'model.pretrained', 'False',
        'model.name', 'paul_osnet_x0_25', 'paul.pretrain.opts', "['train.max_epoch', 1, 'train.batch_size', 8]",
        root=tmp_path,
    )  # fmt: skip
    assert status == 0, err
    results = json.loads((tmp_path / 'log/results.json').read_text())
    assert results['adapted']['mAP'] > 0
    checkpoint = torch.load(tmp_path / 'log/model/model.pth.tar-1', weights_only=True)
    assert checkpoint['memory']['bank'].shape == (6, 16, 256)


@pytest.mark.parametrize('loss', ['softmax', 'triplet'])
def test_torchreids_own_models_train_too(run, loss):
    status, out, err = run(
        *SMALL, '-s', 'synthetic_source', '-t', 'synthetic_target', 'synthetic_source', 'model.name', 'osnet_x0_25',
        'model.pretrained', 'False', 'loss.name', loss, 'train.batch_size', '8',
        'sampler.train_sampler', 'RandomIdentitySampler', 'train.seed', '5',
        'paul.synthetic.train_ids', '8', 'paul.synthetic.test_ids', '6', 'paul.synthetic.images_per_id', '6',
    )  # fmt: skip
    assert status == 0, err
    assert out.count('mAP:') == 2


REFUSED = {
    'no data set': ('-s market1501 -t market1501', r"'market1501' is not there: expected the folder .*market1501"),
    'no pre-training data': ('paul.pretrain.opts ["data.sources",["cuhk03"]]', "data set 'cuhk03' is not there"),
    'other data in the folder': ('train.seed 6', 'synthetic_target'),
    'no ImageNet weights': ('model.pretrained True', 'set model.pretrained False'),
}  # fmt: skip


@pytest.mark.parametrize('name', REFUSED)
def test_refuses_in_one_line_before_any_work(run, rendered, tmp_path, name, monkeypatch):
    words, expected = REFUSED[name]
    if name == 'no ImageNet weights':
        monkeypatch.setattr('torch.hub.load_state_dict_from_url', _no_network)
        words += ' model.name paul_resnet18'
        monkeypatch.setattr(sys.modules[models.resnet18.__module__].model_zoo, 'load_url', _no_network)
    before = sorted(rendered.rglob('*'))
    words = [word if word != '""' else '' for word in words.split()]
    status, out, err = run(*synthetic_words(), *words)
    lines = [line for line in err.splitlines() if line.startswith('error: ')]
    assert status == 2
    assert len(lines) == 1, err
    assert re.search(expected, lines[0]) if '.*' in expected else expected in lines[0]
    assert 'Traceback' not in err
    assert '=== Pre-training' not in out or name == 'no ImageNet weights'
    assert sorted(rendered.rglob('*')) == before
    assert not list(tmp_path.rglob('*.pth*'))


def _no_network(*args, **kwargs):
    raise OSError('no network')
