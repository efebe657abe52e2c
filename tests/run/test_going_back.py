"""A run that goes back to an earlier checkpoint: what is later is set aside, and nothing new is lost."""

import json
import os
import shutil

import pytest
from helpers.jobs import run_embedded_job


@pytest.fixture(scope='module')
def three_epochs(rendered, tmp_path_factory):
    words = ('train.max_epoch', '3', 'test.eval_freq', '1', 'train.keep_checkpoints', '9')
    return run_embedded_job(rendered, tmp_path_factory.mktemp('three'), *words)


def test_it_goes_on_from_there(three_epochs, rendered, tmp_path):
    folder = shutil.copytree(three_epochs, tmp_path / 'log')
    words = ('train.max_epoch', '2', 'test.eval_freq', '1', 'train.keep_checkpoints', '1')
    run_embedded_job(rendered, folder, *words, 'model.resume', str(folder / 'model/model.pth.tar-1'))
    assert sorted(os.listdir(folder / 'model')) == ['model-best.pth.tar', 'model.pth.tar-2']
    assert 'model.pth.tar-3' in os.listdir(folder / 'model.1')
    history = json.loads((folder / 'history.json').read_text())
    assert [entry['epoch'] for entry in history] == [1, 2]
    before = json.loads((three_epochs / 'history.json').read_text())
    assert history == before[:2]  # to the bit


def test_its_end_is_measured_where_it_has_come_so_far(three_epochs, rendered, tmp_path):
    folder = shutil.copytree(three_epochs, tmp_path / 'log')
    named = str(folder / 'model/model.pth.tar-2')
    run_embedded_job(rendered, folder, 'train.max_epoch', '2', 'test.eval_freq', '1', 'model.resume', named)
    results = json.loads((folder / 'results.json').read_text())
    history = json.loads((three_epochs / 'history.json').read_text())
    assert results['adapted']['mAP'] == history[1]['mAP'] != history[2]['mAP']
