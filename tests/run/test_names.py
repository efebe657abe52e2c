"""Names that colour a terminal or forge lines, and outputs that lack their letters."""

import shutil

import pytest
from helpers.forks import Fork
from helpers.jobs import PROJECT

EVIL = 'a\x1b[31m\nerror: forged'
SHOWN = r'a\x1b[31m\nerror: forged'
WRITE = {
    'config file': 'train: [1',
    'weights': 'no weights',
    'checkpoint': 'no checkpoint',
    'save_dir': 'a file',
    'pre-training': 'train: {lrr: 1}',
}
WORDS = {
    'config file': ['--config-file', EVIL],
    'missing config file': ['--config-file', EVIL],
    'weights': ['model.load_weights', EVIL],
    'missing weights': ['model.load_weights', EVIL],
    'checkpoint': ['model.resume', EVIL],
    'save_dir': ['data.save_dir', EVIL],
    'data set': ['folder.path', EVIL],
    'root': ['--root', EVIL, '-s', 'market1501', '-t', 'market1501'],
    'pre-training': ['paul.pretrain.config', EVIL, 'model.load_weights', ''],
    'a value': ['train.lr', EVIL],
}


@pytest.mark.parametrize('kind', WORDS)
def test_no_name_forges_a_line(kind, run, bare):
    if kind in WRITE:
        with open(EVIL, 'w') as file:
            file.write(WRITE[kind])
    status, out, err = run(bare, *WORDS[kind])
    assert status == 2
    assert err.startswith('error: ')
    assert err.count('\n') == 1
    assert SHOWN in err
    assert '\x1b' not in out + err


def test_a_run_in_such_a_folder_prints_it_escaped(run, crops, tmp_path):
    crops = crops.rename(tmp_path / EVIL)
    status, out, err = run(crops, log=f'{EVIL}/log')
    assert status == 0, err
    assert 'Checkpoint saved to' in out
    assert SHOWN in out
    assert '\x1b' not in out + err
    assert not any(line.startswith('error: ') for line in (out + err).splitlines())


def test_letters_that_the_output_lacks(crops, weights, tmp_path):
    """A person named in Japanese letters, on a terminal that knows ASCII alone."""
    for part in ('query', 'gallery'):
        for path in list((crops / part).iterdir()):
            (crops / part / f'人{path.name[:4]}').mkdir(exist_ok=True)
            shutil.move(path, crops / part / f'人{path.name[:4]}' / path.name)
    process = Fork(
        "import sys; sys.stdout.reconfigure(encoding='ascii', errors='strict')\n"
        'from paul_plugin.commands import train; train.main(sys.argv[1:])',
        '--config-file', PROJECT / 'configs/paul_folder.yaml', 'folder.path', crops, 'model.name', 'paul_osnet_x0_25',
        'model.load_weights', weights, 'paul.feature_dim', 8, 'data.height', 48, 'data.width', 48, 'data.workers', 0,
        'data.save_dir', tmp_path / 'log', 'train.batch_size', 12, 'paul.k', 3, 'test.evaluate', 'True',
        'use_gpu', 'False',
    )  # fmt: skip
    out, err = process.communicate()
    assert process.poll() == 0, err
    assert r'\u4eba' in out
    assert 'Results on folder' in out
    log = next((tmp_path / 'log').glob('test.log*')).read_text(encoding='utf-8')
    assert '人' in log
