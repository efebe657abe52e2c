"""A dry run: what it counts and shows, that it refuses what the run would refuse, and that it writes nothing."""

from pathlib import Path

import pytest
from helpers.crops import pictures

from paul_plugin.commands import train
from paul_plugin.commands.dry_run import show
from paul_plugin.config.keys import get_default_config
from paul_plugin.runtime.errors import UserError

SMALL = (
    'data.height 48 data.width 48 data.workers 0 train.max_epoch 2 train.batch_size 6 paul.k 3 paul.r 2 '
    'paul.feature_dim 8 use_gpu False paul.synthetic.train_ids 8 paul.synthetic.test_ids 6 '
    'paul.synthetic.images_per_id 6 train.seed 5 paul.pretrain.opts [train.max_epoch,1,train.batch_size,8]'
)


@pytest.fixture
def dry_run(called, tmp_path, monkeypatch):
    """Runs the verb with --dry-run; returns the exit status and what it wrote to both streams. No file may change."""
    monkeypatch.chdir(tmp_path)

    def files():
        return {path: (path.stat().st_mtime_ns, path.is_dir()) for path in tmp_path.rglob('*')}

    def run(line):
        before = files()
        name, *words = line.split()
        found = called(train.main, [name, *SMALL.split(), *words, '--dry-run'])
        assert files() == before
        return found

    return run


def numbers(out, name):
    (line,) = [line for line in out.splitlines() if line.strip().startswith(name)]
    return line.split()[-3:]


def test_data_that_would_be_rendered(dry_run):
    status, out, err = dry_run('paul_synthetic')
    assert status == 0, err
    assert 'synthetic_source: would be rendered in reid-data\n  training: 48 images; query and gallery: 36' in out
    lines = out.splitlines()
    start = lines.index('It would do, one after the other:')
    assert lines[start + 1 : start + 5] == [
        '  1. pre-train with labels: synthetic_source, 1 epochs of 6 batches of 8 images',
        '  2. load the weights: log/paul_synthetic/pretrained.pth.tar',
        '  3. measure the weights that it starts from on synthetic_target',
        '  4. adapt without labels: synthetic_target, 2 epochs of 8 batches of 6 images; then test on synthetic_target',
    ]
    assert lines[start + 5].startswith('It would write to log/paul_synthetic: ')


def test_data_that_are_there(dry_run, rendered):
    status, out, err = dry_run(f'paul_synthetic --root {rendered} paul.pretrain.config None')
    assert status == 0, err
    assert 'would be rendered' not in out
    assert numbers(out, 'training, synthetic_target') == ['48', '8', '6']
    queries = list((rendered / 'synthetic_target/Market-1501-v15.09.15/query').iterdir())
    assert numbers(out, 'query, synthetic_target')[:2] == [str(len(queries)), '6']
    assert '1. measure the weights' in out


def test_a_folder_without_labels(dry_run, bare):
    status, out, err = dry_run(f'paul_folder folder.path {bare} model.name paul_osnet_x0_25 paul.pretrain.config None')
    assert status == 0, err
    assert numbers(out, 'training, folder') == ['24', '-', '-']
    assert 'no test, as there are no labels' in out
    assert f'  folder: {bare}' in out  # and how it was read
    assert 'remove the results' not in out  # there are none
    assert 'It would write to log/paul_folder: logs, checkpoints\n' in out


def test_an_earlier_run(dry_run, rendered, embedded_run):
    """Its checkpoints are not touched, whether it goes on or begins anew."""
    before = sorted((path, path.stat().st_mtime_ns) for path in Path(embedded_run).rglob('*'))
    line = f'paul_synthetic --root {rendered} data.save_dir {embedded_run} paul.pretrain.config None '
    status, out, err = dry_run(f'{line} paul.feature_dim 256 model.load_weights {embedded_run}/model/model.pth.tar-1')
    assert status == 0, err
    assert 'model.pth.tar-1 is readable, and of paul_osnet_x0_25' in out
    assert 'would be moved to a folder beside them' in out
    assert sorted((path, path.stat().st_mtime_ns) for path in Path(embedded_run).rglob('*')) == before


@pytest.mark.parametrize(
    ('line', 'expected'),
    [
        ('paul_market', "data set 'market1501' is not there"),
        ('paul_synthetic model.load_weights no.pth paul.pretrain.config None', 'no weight file at no.pth'),
        ('paul_synthetic paul.momentum 1.5', 'paul.momentum = 1.5'),
        ('paul_synthetic model.name paul_osnet_x0_52', "is no PatchNet, which loss.name paul needs (did you me"),
        (
            'paul_synthetic loss.name softmax data.transforms [random_flip] model.name osnet_x0_52',
            "unknown model.name 'osnet_x0_52' (did you mean 'osnet_x0_5'",
        ),
        ('paul_market -s market1510 -t market1510', "unknown image data set 'market1510' (did you mean 'market1501'?)"),
        ('paul_synthetic data.save_dir file/log', 'file is no folder: choose another data.save_dir'),
        ('paul_folder folder.path nowhere', 'nowhere'),
        ('paul_folder folder.path counted model.load_weights file', 'x_c1.jpg, x_c12.jpg seem to be the boxes of one'),
    ],
)
def test_refuses_what_the_run_refuses(dry_run, tmp_path, line, expected):
    (tmp_path / 'file').touch()
    pictures(tmp_path / 'counted', 'x_c1.jpg', 'x_c12.jpg')
    status, _, err = dry_run(line)
    assert status == 2
    assert expected in err
    assert all(line.startswith('error: ') for line in err.splitlines())


def test_a_folder_that_is_closed(dry_run, rendered, monkeypatch):
    """By what the system says of it, as root may write anywhere."""
    monkeypatch.setattr('os.access', lambda *_: False)
    status, _, err = dry_run(f'paul_synthetic --root {rendered} paul.pretrain.config None')
    assert status == 2
    assert 'choose another data.save_dir' in err
    assert err.startswith('error: no permission to write to ')


def test_of_several_processes_none_is_made(monkeypatch):
    monkeypatch.setattr('paul_plugin.runtime.launch.launched', lambda: True)
    with pytest.raises(UserError, match='^--dry-run looks at one process: start it without torchrun$'):
        show(get_default_config())
