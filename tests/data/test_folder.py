"""The data set `folder`: what is found in a messy tree, labels and their refusals, the job with and without them."""

import functools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torchreid
from PIL import Image

import paul_plugin
from paul_plugin.config import checks, command_line
from paul_plugin.data.files import find_images
from paul_plugin.data.folder import read_crops
from paul_plugin.run import main, stages
from paul_plugin.run.data import build_datamanager
from paul_plugin.runtime.errors import UserError

PROJECT = Path(__file__).parents[2]
TRAIN, QUERY, GALLERY = (
    f'synthetic_target/Market-1501-v15.09.15/{part}' for part in ('bounding_box_train', 'query', 'bounding_box_test')
)


def picture(path, file_format='JPEG'):
    """A picture of noise, another for every path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng([*os.fsencode(path)]).integers(0, 256, (48, 24, 3), np.uint8)
    Image.fromarray(pixels).save(path, file_format)
    return path


def pictures(top, *names):
    for name in names:
        picture(top / name)
    return top


def names(paths, top):
    return [os.path.relpath(path, top) for path in paths]


def labelled(items, top):
    return {os.path.relpath(path, top): (pid, camid) for path, pid, camid in items}


# ---- the tree ------------------------------------------------------------------------------------------------------


@pytest.fixture
def messy(tmp_path):
    """A tree as people have them; nine images to train on, one of them damaged."""
    top = pictures(
        tmp_path / 'my crops',
        '1.jpg',
        'a/b/c/deep.JPEG',
        'day one/gate 2/person (3).jpg',
        'día/人.jpg',
        'a/.hidden.jpg',
        '.thumbs/1.jpg',
        '__MACOSX/._1.jpg',
    )
    picture(top / 'no suffix', file_format='PNG')
    picture(top / 'wrong.dat', file_format='BMP')
    for name, content in (('notes.txt', b'text'), ('Thumbs.db', b'\0' * 99), ('fake.jpg', b'text'), ('empty', b'')):
        (top / name).write_bytes(content)
    cut = picture(top / 'a/damaged.jpg').read_bytes()
    (top / 'a/damaged.jpg').write_bytes(cut[: len(cut) // 2])
    (top / 'nothing here').mkdir()
    os.mkfifo(top / 'pipe')
    os.symlink('loop', top / 'loop')
    os.symlink('nowhere.jpg', top / 'lost.jpg')
    os.symlink('..', top / 'a/b/up')  # a cycle
    os.symlink(pictures(tmp_path / 'other disk', 'linked.png'), top / 'a/0 link')
    shutil.copy(top / 'a/b/c/deep.JPEG', top / 'a/z.jpg')
    os.symlink('1.jpg', top / '2.jpg')
    return top


GOOD = [
    '1.jpg', 'a/0 link/linked.png', 'a/b/c/deep.JPEG', 'a/damaged.jpg', 'day one/gate 2/person (3).jpg', 'día/人.jpg',
    'fake.jpg', 'lost.jpg', 'no suffix', 'wrong.dat',
]  # fmt: skip


def test_a_messy_tree(messy, capsys):
    crops = read_crops(str(messy))
    assert names(crops.train, messy) == sorted(GOOD)
    assert crops.train == sorted(crops.train)
    assert crops.query == crops.gallery == crops.notes['test'] == []
    assert sorted(crops.notes['training']) == [
        '  left out: copy of another image (2): 2.jpg (= 1.jpg), a/z.jpg (= a/b/c/deep.JPEG)',
        '  left out: hidden (3): .thumbs, __MACOSX/._1.jpg, a/.hidden.jpg',
        '  left out: link to a folder that is read already (1): a/b/up',
        '  left out: no image (5): Thumbs.db, empty, loop, notes.txt, pipe',
    ]
    assert capsys.readouterr().out == ''
    assert read_crops(str(messy)) == crops


def test_a_folder_under_two_names_is_read_by_its_own(tmp_path):
    pictures(tmp_path / 'top', 'z/1.jpg', 'z/in/2.jpg')
    os.symlink('z', tmp_path / 'top/a')
    os.symlink('../../z', tmp_path / 'top/z/in/around')
    images, odd = find_images(str(tmp_path / 'top'))
    assert names(images, tmp_path / 'top') == ['z/1.jpg', 'z/in/2.jpg']
    assert names([path for paths in odd.values() for path in paths], tmp_path / 'top') == ['a', 'z/in/around']


def test_the_working_directory_does_not_matter(messy, monkeypatch):
    expected = read_crops(str(messy))
    for here, path in ((messy, '.'), (messy / 'a', '..'), (messy.parent, 'my crops')):
        monkeypatch.chdir(here)
        assert read_crops(path) == expected


def test_many_of_a_kind_are_counted_and_the_first_are_named(tmp_path):
    pictures(tmp_path, '1.jpg', *(f'.{number}.jpg' for number in range(9)))
    assert read_crops(str(tmp_path)).notes['training'] == [
        '  left out: hidden (9): .0.jpg, .1.jpg, .2.jpg, .3.jpg, .4.jpg, ...'
    ]


# ---- query and gallery ---------------------------------------------------------------------------------------------


def test_people_by_sub_folder_cameras_by_part(tmp_path):
    top = pictures(
        tmp_path,
        *(
            'query/anna/1.jpg',
            'query/bob/x/y/2.jpg',
            'gallery/anna/1 of 2.jpg',
            'gallery/anna/2.jpg',
            'gallery/-1/3.jpg',
        ),
        *('gallery/carl/4_c1.jpg', 'gallery/.DS_Store.jpg', 'mine.jpg', 'other/query/5.jpg'),
    )
    shutil.copy(top / 'query/bob/x/y/2.jpg', top / 'gallery/anna/copy.jpg')
    shutil.copy(top / 'gallery/anna/2.jpg', top / 'copy.jpg')
    crops = read_crops(str(top))
    assert names(crops.train, top) == ['mine.jpg', 'other/query/5.jpg']
    query, gallery = labelled(crops.query, top), labelled(crops.gallery, top)
    (of_anna, camera), (of_bob, _) = query['query/anna/1.jpg'], query['query/bob/x/y/2.jpg']
    assert of_anna != of_bob
    assert gallery.keys() == {'gallery/anna/1 of 2.jpg', 'gallery/anna/2.jpg', 'gallery/carl/4_c1.jpg'}
    assert gallery['gallery/anna/2.jpg'] == (of_anna, 1 - camera)
    assert gallery['gallery/carl/4_c1.jpg'][0] not in (of_anna, of_bob)
    assert crops.notes == {
        'training': ['  left out: copy of another image (1): copy.jpg (= gallery/anna/2.jpg)'],
        'test': [
            '  query is one camera and gallery another: query/anna/1.jpg names none (_c1, _c2, ...)',
            '  left out: hidden (1): gallery/.DS_Store.jpg',
            '  left out: copy of another image (1): gallery/anna/copy.jpg (= query/bob/x/y/2.jpg)',
            '  left out: junk, person -1 (1): gallery/-1/3.jpg',
        ],
    }


def test_market1501s_names_give_market1501s_labels(rendered, tmp_path):
    for part, of in (('train', TRAIN), ('query', QUERY), ('gallery', GALLERY)):
        shutil.copytree(rendered / of, tmp_path / part)
    crops = read_crops(str(tmp_path))
    market = torchreid.data.ImageDataManager(
        root=str(rendered), sources='synthetic_target', workers=0, use_gpu=False
    ).test_dataset['synthetic_target']
    assert len(crops.train) == 48
    for items, part in ((crops.query, 'query'), (crops.gallery, 'gallery')):
        expected = {os.path.basename(path): (pid, camid) for path, pid, camid, _ in market[part]}
        found = {os.path.basename(path): (pid, camid) for path, pid, camid in items}
        assert found.keys() == expected.keys()
        pairs = {(found[name], expected[name]) for name in found}
        assert len(pairs) == len({pair[0] for pair in pairs}) == len({pair[1] for pair in pairs})


@pytest.mark.parametrize(
    ('images', 'expected'),
    [
        (['query/anna/1.jpg', '1.jpg'], 'has a folder query but no folder gallery'),
        (['gallery/anna/1.jpg', '1.jpg'], 'has a folder gallery but no folder query'),
        (['query/.1.jpg', 'gallery/anna/1.jpg'], 'no image in TOP/query'),
        (['query/anna/1.jpg', 'gallery/bob/1.jpg'], 'TOP: no person of query is in gallery under another camera'),
        (['query/a_c1_1.jpg', 'gallery/a_c1_2.jpg', 'gallery/b_c2_1.jpg'], 'no person of query is in gallery under'),
        (['query/-1/1.jpg', 'gallery/-1/2.jpg'], 'no person of query is in gallery under another camera'),
        (['query/_1.jpg', 'gallery/anna/2.jpg'], 'TOP/query/_1.jpg names no person'),
    ],
)
def test_bad_folders_are_refused_in_one_line(tmp_path, images, expected):
    assert expected.replace('TOP', str(tmp_path)) in refusal(read_crops, str(pictures(tmp_path, *images)))


def refusal(function, *arguments):
    with pytest.raises(UserError) as error:
        function(*arguments)
    assert '\n' not in str(error.value)
    return str(error.value)


# ---- the CSV file --------------------------------------------------------------------------------------------------

CSV_IMAGES = ('1.jpg', 'a/2.jpg', 'a/ü, 3.jpg', '4.jpg', '5.jpg')


@pytest.fixture
def labels(tmp_path):
    """labels(text) -> the folder of CSV_IMAGES and the path of a CSV file in it."""
    pictures(tmp_path, *CSV_IMAGES)

    def write(text, encoding='utf-8', name='my labels.csv'):
        path = tmp_path / name
        path.write_bytes(text.replace('TOP', str(tmp_path)).encode(encoding))
        return str(tmp_path), str(path)

    return write


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig'])
def test_a_csv_file(labels, encoding, tmp_path):
    top, path = labels(
        'pid,path,note,camid\r\nanna,./1.jpg,x,gate\r\nanna,TOP/a/2.jpg,,hall\n\n'
        'bob,"a/ü, 3.jpg",,gate\n-1,4.jpg,,gate\n',
        encoding,
    )
    crops = read_crops(top, path)
    assert crops.query == crops.gallery
    assert labelled(crops.query, top) == {'1.jpg': (0, 0), 'a/2.jpg': (0, 1), 'a/ü, 3.jpg': (1, 0)}
    assert names(crops.train, top) == ['5.jpg']
    assert crops.notes == {'training': [], 'test': ['  left out: junk, person -1 (1): 4.jpg']}


HEADER = 'path,pid,camid\n'


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('', "line 1: no column path: the first line must be path,pid,camid, got ''"),
        ('path,pid\n1.jpg,1\n', 'line 1: no column camid'),
        ('path;pid;camid\n1.jpg;1;1\n', "no column path: the first line must be path,pid,camid, got 'path;pid;camid'"),
        (HEADER + '1.jpg,anna\n', 'line 2: it has not as many fields as the first line'),
        (HEADER + '1.jpg,anna,1\na/2.jpg,anna,2,3\n', 'line 3: it has not as many fields'),
        (HEADER + '1.jpg,,1\n', 'line 2: pid is empty'),
        (HEADER + '1.jpg,anna, \n', 'line 2: camid is empty'),
        (HEADER + '\n,anna,1\n', 'line 3: path is empty'),
        (HEADER + '9.jpg,anna,1\n', "line 2: no file '9.jpg' in the folder TOP"),
        (HEADER + 'a,anna,1\n', "line 2: no file 'a'"),
        (HEADER + '1.jpg,anna,1\n./1.jpg,anna,2\n', "line 3: './1.jpg' is listed twice"),
        (HEADER + '1.jpg,anna,1\n4.jpg,anna,1\n5.jpg,bob,2\n', 'no person of query is in gallery under another camera'),
        (HEADER, 'no person of query is in gallery under another camera'),
        (HEADER + '"1.jpg"x,anna,1\n', 'line 2: '),
    ],
)
def test_bad_csv_files_are_refused_in_one_line(labels, text, expected, tmp_path):
    top, path = labels(text)
    message = refusal(read_crops, top, path)
    assert message.startswith(path)
    assert expected.replace('TOP', str(tmp_path)) in message


def test_csv_files_that_cannot_be_read(labels, tmp_path):
    top, path = labels(HEADER + 'é.jpg,anna,1\n', 'latin-1')
    assert f'cannot read {path}: it is not UTF-8 text' in refusal(read_crops, top, path)
    assert f'no file {top}/none.csv' in refusal(read_crops, top, f'{top}/none.csv')
    assert f'no file {top}' in refusal(read_crops, top, top)
    pictures(tmp_path, 'query/anna/1.jpg')
    assert 'take out one of the two' in refusal(read_crops, top, path)


# ---- torchreid -----------------------------------------------------------------------------------------------------


@pytest.fixture
def crops(rendered, tmp_path):
    """The rendered target as a folder: 24 images to train on, without informative names, query and gallery."""
    top = tmp_path / 'crops'
    for number, path in enumerate(sorted((rendered / TRAIN).iterdir())[::2]):
        to = top / f'day {number % 3}' / f'{number * 7919 % 1000}.jpg'
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)
    for part, of in (('query', QUERY), ('gallery', GALLERY)):
        shutil.copytree(rendered / of, top / part)
    return top


@pytest.fixture
def bare(crops, tmp_path):
    """The same without labels."""
    return shutil.copytree(crops, tmp_path / 'bare', ignore=shutil.ignore_patterns('query', 'gallery'))


def test_in_user_code(make_datamanager, make_engine, crops, capsys, tmp_path):
    (crops / 'notes.txt').write_text('text')
    datamanager = make_datamanager(root=crops, sources='folder')
    out = capsys.readouterr().out
    assert len(datamanager.train_loader.dataset) == 24
    assert out.count(f'folder: {crops}') == 2  # torchreid shows it for training and for testing
    assert out.count('left out: no image (1): notes.txt') == 1
    engine = make_engine(datamanager)
    assert engine.test(dist_metric='cosine', ranks=[1]) > 0
    assert engine.results['folder']['mAP'] > 0

    labels = tmp_path / 'labels.csv'
    listed = sorted((crops / 'gallery').iterdir())
    shutil.rmtree(crops / 'query')
    (crops / 'gallery').rename(crops / 'labelled')
    rows = [f'labelled/{path.name},{path.name[:4]},{path.name[6]}\n' for path in listed]
    labels.write_text(HEADER + ''.join(rows))
    make = functools.partial(paul_plugin.FolderDataset, path=str(crops), labels=str(labels))
    torchreid.data.register_image_dataset(f'crops of {tmp_path}', make)
    datamanager = make_datamanager(sources=[f'crops of {tmp_path}', 'synthetic_source'], combineall=True)
    dataset = datamanager.train_loader.dataset
    assert len([item for item in dataset.data if str(crops) in item[0]]) == 24  # combineall or not
    assert len(datamanager.test_dataset[f'crops of {tmp_path}']['query']) == len(listed)


def test_in_user_code_without_labels(make_datamanager, make_engine, bare, capsys, tmp_path):
    engine = make_engine(make_datamanager(root=bare, sources='folder'))
    assert capsys.readouterr().out.count('No test on folder') == 1
    engine.run(save_dir=str(tmp_path / 'log'), max_epoch=1, print_freq=99)
    assert engine.results == {}
    assert os.listdir(tmp_path / 'log/model') == ['model.pth.tar-1']
    assert [entry.keys() & {'mAP', 'rank1'} for entry in engine.history] == [set()]


def test_refusals_in_user_code(make_datamanager, tmp_path, monkeypatch):
    monkeypatch.chdir(pictures(tmp_path, '1.jpg'))
    make = functools.partial(make_datamanager, sources='folder')
    assert "the folder of crops '' is not there" in refusal(lambda: make(root=''))
    (tmp_path / 'empty/nested').mkdir(parents=True)
    assert f'no image to train on in the folder {tmp_path}/empty' in refusal(lambda: make(root='empty'))


# ---- the job -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'pretrained.pth.tar'
    torch.manual_seed(0)
    model = torchreid.models.build_model('paul_osnet_x0_25', pretrained=False, dim=8)
    torch.save({'state_dict': model.state_dict()}, path)
    return path


@pytest.fixture
def run(monkeypatch, capsys, weights, tmp_path):
    """Runs the command line on a folder; returns the exit status and what it wrote to both streams."""
    monkeypatch.chdir(PROJECT)

    def run(folder, *words, log='log'):
        try:
            main.main([
                '--config-file', 'configs/paul_folder.yaml', 'folder.path', str(folder), 'use_gpu', 'False',
                'model.name', 'paul_osnet_x0_25', 'model.load_weights', str(weights), 'paul.feature_dim', '8',
                'data.height', '48', 'data.width', '48', 'data.workers', '0', 'data.save_dir', str(tmp_path / log),
                'train.max_epoch', '1', 'train.batch_size', '12', 'train.lr', '0.01', 'paul.k', '3', *words,
            ])  # fmt: skip
            status = 0
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return run


def state(path):
    return torch.load(path, weights_only=True)


def test_the_job_with_and_without_labels_trains_the_same(run, crops, bare, tmp_path, rendered):
    for top in (crops, bare):
        (top / 'day 0/damaged.jpg').write_text('no image')
    status, out, err = run(crops)
    assert status == 0, err
    assert out.count('1 training images were left out') == 2  # at the start and at the end
    results = json.loads((tmp_path / 'log/results.json').read_text())
    assert results.keys() == {'direct_transfer', 'adapted'}
    assert all(of.keys() == RESULTS for of in results.values())
    assert 'Results on folder' in out

    status, out, err = run(bare, 'train.max_epoch', '2', 'test.eval_freq', '1', log='bare')
    assert status == 0, err
    assert out.count('No test on folder, which has no query and gallery images: training runs without tests') == 1
    assert f'The adapted model is {tmp_path}/bare/model/model.pth.tar-2' in out
    assert 'Direct transfer' not in out
    assert 'Infinity' not in (tmp_path / 'bare/history.json').read_text()
    assert sorted(os.listdir(tmp_path / 'bare/model')) == ['model.pth.tar-1', 'model.pth.tar-2']
    assert not (tmp_path / 'bare/results.json').exists()
    found, expected = state(tmp_path / 'bare/model/model.pth.tar-1'), state(tmp_path / 'log/model/model.pth.tar-1')
    assert all(found['state_dict'][name].equal(tensor) for name, tensor in expected['state_dict'].items())
    assert found['memory']['bank'].equal(expected['memory']['bank'])
    assert found['images'] == expected['images']

    # Measured afterwards, the model of the run without labels gives the same numbers.
    first = str(tmp_path / 'bare/model/model.pth.tar-1')
    status, out, err = run(crops, 'model.load_weights', first, 'test.evaluate', 'True', log='measured')
    assert status == 0, err
    measured = json.loads((tmp_path / 'measured/results.json').read_text())
    assert measured == {'direct_transfer': results['adapted']}

    # Going on from there; with another target, which alone is tested; and anew where an earlier run had labels.
    status, out, err = run(bare, 'train.max_epoch', '2', 'test.eval_freq', '1', 'model.resume', 'auto', log='bare')
    assert status == 0, err
    assert 'No results' in out
    status, out, err = run(
        bare, '--root', str(rendered), '-t', 'folder', 'synthetic_target', *SYNTHETIC, 'train.max_epoch', '0'
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
    cfg = command_line.load_config(
        ['--config-file', str(PROJECT / 'configs/paul_synthetic.yaml'), '-s', 'folder', '-t', 'folder']
        + ['--root', str(rendered), 'folder.path', str(crops), 'data.workers', '0', *SYNTHETIC]
        + ['paul.pretrain.opts', "['data.targets', ['synthetic_source', 'folder']]"]
    )
    stage = stages.stage_config(cfg)
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
        (9, 'train.batch_size 9 paul.k 9', 'k=9 needs more than k training images, got 9: lower k'),
        (20, 'test.evaluate True', 'folder has no images to test on: give the folder sub-folders query and gallery'),
        (20, 'folder.labels none.csv', 'no file none.csv (folder.labels)'),
        (20, 'data.type video', "data.type = 'video': the data set folder holds images"),
        (
            20,
            'loss.name softmax --transforms random_flip',
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
    assert len(lines) == (
        3 if words == 'data.type video' else 1
    )  # two of them say that loss and bad_images need images
    assert 'Traceback' not in err
    assert not list(tmp_path.rglob('*.pth*'))


def test_the_config_file():
    cfg = command_line.load_config(['--config-file', str(PROJECT / 'configs/paul_folder.yaml'), 'use_gpu', 'False'])
    checks.check_config(cfg)
    market = command_line.load_config(['--config-file', str(PROJECT / 'configs/paul_market.yaml'), 'use_gpu', 'False'])
    for other in (cfg, market):
        other.data.update({'sources': [], 'targets': [], 'save_dir': '', 'bad_images': ''})
    assert cfg == market
