"""The data set `folder`: what is found in a messy tree, and its place among the data sets of torchreid."""

import functools
import os
import shutil

import pytest
import torchreid
from helpers.crops import UNKNOWN_CAMERAS, names, picture, pictures, refusal

import paul_plugin
from paul_plugin.data.files import find_images
from paul_plugin.data.folder import read_crops

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
        UNKNOWN_CAMERAS,
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


def test_pictures_that_runs_have_drawn_are_no_crops(tmp_path):
    """Of the run that is to be, by any link to its folder, and of any before it, by its log."""
    top = pictures(tmp_path / 'top', '1.jpg', 'log/visrank_folder/1.jpg', 'old/deep/run/report/2.jpg', 'a/model/3.jpg')
    (top / 'old/deep/run/train.log-2024-05-06-07-08-09').touch()
    os.symlink(top / 'log', tmp_path / 'link')
    for outputs in ([str(top / 'log')], [str(tmp_path / 'link')], [str(tmp_path / 'none'), f'{top}/a/../log']):
        images, odd = find_images(str(top), outputs=outputs)
        assert names(images, top) == ['1.jpg', 'a/model/3.jpg']
        assert odd == {'folder that a run writes to': [str(top / 'log'), str(top / 'old/deep/run')]}
    assert names(find_images(str(top))[0], top) == ['1.jpg', 'a/model/3.jpg', 'log/visrank_folder/1.jpg']
    assert len(find_images(str(top / 'old/deep/run'))[0]) == 1  # who names a run's folder means its pictures
    message = refusal(functools.partial(read_crops, outputs=(str(top),)), str(top))
    assert message == f'the crops in {top} are where the run writes to: choose another data.save_dir'


def test_what_a_run_has_written_is_left_out_of_query_too(tmp_path):
    top = pictures(tmp_path, 'query/anna/1.jpg', 'gallery/anna/2.jpg', 'query/anna/log/3.jpg')
    crops = read_crops(str(top), outputs=(str(top / 'query/anna/log'),))
    assert names([path for path, _, _ in crops.query], top) == ['query/anna/1.jpg']
    assert '  left out: folder that a run writes to (1): query/anna/log' in crops.notes['test']


def test_many_of_a_kind_are_counted_and_the_first_are_named(tmp_path):
    pictures(tmp_path, '1.jpg', *(f'.{number}.jpg' for number in range(9)))
    assert read_crops(str(tmp_path)).notes['training'] == [
        UNKNOWN_CAMERAS,
        '  left out: hidden (9): .0.jpg, .1.jpg, .2.jpg, .3.jpg, .4.jpg, ...'
    ]


# ---- torchreid -----------------------------------------------------------------------------------------------------


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
    labels.write_text('path,pid,camid\n' + ''.join(rows))
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
    (tmp_path / '1.jpg').touch()
    assert 'is no folder of crops but a file: name a folder' in refusal(lambda: make(root=str(tmp_path / '1.jpg')))
    (tmp_path / 'empty/nested').mkdir(parents=True)
    assert f'no image to train on in the folder {tmp_path}/empty' in refusal(lambda: make(root='empty'))
