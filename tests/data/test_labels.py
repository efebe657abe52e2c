"""Who is on the images of a folder: by query and gallery, by a CSV file, and the refusals of both."""

import os
import shutil
from pathlib import Path

import pytest
import torchreid
from helpers.crops import GALLERY, QUERY, TRAIN, UNKNOWN_CAMERAS, labelled, names, pictures, refusal

from paul_plugin.data.folder import read_crops
from paul_plugin.data.ids import camera_name, person_name

# ---- query and gallery ---------------------------------------------------------------------------------------------


def test_people_by_sub_folder_cameras_by_part(tmp_path):
    top = pictures(
        tmp_path,
        *(
            'query/anna/1.jpg',
            'query/bob/2.jpg',
            'gallery/anna/1 of 2.jpg',
            'gallery/anna/2.jpg',
            'gallery/-1/3.jpg',
        ),
        *('gallery/carl/4_c1.jpg', 'gallery/.DS_Store.jpg', 'mine.jpg', 'other/query/5.jpg'),
    )
    shutil.copy(top / 'query/bob/2.jpg', top / 'gallery/anna/copy.jpg')
    shutil.copy(top / 'gallery/anna/2.jpg', top / 'copy.jpg')
    crops = read_crops(str(top))
    assert names(crops.train, top) == ['mine.jpg', 'other/query/5.jpg']
    query, gallery = labelled(crops.query, top), labelled(crops.gallery, top)
    (of_anna, camera), (of_bob, _) = query['query/anna/1.jpg'], query['query/bob/2.jpg']
    assert of_anna != of_bob
    assert gallery.keys() == {'gallery/anna/1 of 2.jpg', 'gallery/anna/2.jpg', 'gallery/carl/4_c1.jpg'}
    assert gallery['gallery/anna/2.jpg'] == (of_anna, 1 - camera)
    assert gallery['gallery/carl/4_c1.jpg'][0] not in (of_anna, of_bob)
    assert (crops.people, crops.cameras) == (['anna', 'bob', 'carl'], ['gallery', 'query'])
    assert crops.notes == {
        'training': [UNKNOWN_CAMERAS, '  left out: copy of another image (1): copy.jpg (= gallery/anna/2.jpg)'],
        'test': [
            '  read: query/anna/1.jpg: person anna, camera query',
            '  query is one camera and gallery another: query/anna/1.jpg names none (_c1, _c2, ...)',
            '  left out: hidden (1): gallery/.DS_Store.jpg',
            '  left out: copy of another image (1): gallery/anna/copy.jpg (= query/bob/2.jpg)',
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
        (['query/.1.jpg', 'gallery/anna/1.jpg'], 'no image in TOP/query'),
        (['query/anna/1.jpg', 'gallery/bob/1.jpg'], 'TOP: no person of query is in gallery under another camera'),
        (['query/-1/1.jpg', 'gallery/-1/2.jpg'], 'no person of query is in gallery under another camera'),
        (['query/_1.jpg', 'gallery/anna/2.jpg'], 'TOP/query/_1.jpg names no person'),
        (
            ['query/anna/1.jpg', 'gallery/bob/1.jpg'],
            '(query/anna/1.jpg: person anna, camera query and gallery/bob/1.jpg: person bob, camera gallery), '
            'so there is nothing to measure: correct the names of the persons',
        ),
        (
            ['query/a_c1_1.jpg', 'gallery/a_c1_2.jpg'],
            '(query/a_c1_1.jpg: person a, camera 1 and gallery/a_c1_2.jpg: person a, camera 1), so there is nothing to '
            'measure: if there is one camera, take _c1 out of the names',
        ),
        (
            ['query/cam01/person01/1.jpg', 'gallery/cam02/person01/1.jpg'],
            'TOP/query/cam01/person01/1.jpg lies too deep: the folder directly in query names the person, here cam01,',
        ),
        (['query/anna/1.jpg', 'gallery/anna/more/1.jpg'], 'TOP/gallery/anna/more/1.jpg lies too deep: '),
    ],
)
def test_bad_folders_are_refused_in_one_line(tmp_path, images, expected):
    assert expected.replace('TOP', str(tmp_path)) in refusal(read_crops, str(pictures(tmp_path, *images)))


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
    assert crops.notes == {
        'training': [UNKNOWN_CAMERAS],
        'test': ['  read: 1.jpg: person anna, camera gate', '  left out: junk, person -1 (1): 4.jpg'],
    }
    assert (crops.people, crops.cameras) == (['anna', 'bob'], ['gate', 'hall'])


HEADER = 'path,pid,camid\n'


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('', "line 1: no column path: the first line must be path,pid,camid, got ''"),
        ('path,pid\n1.jpg,1\n', 'line 1: no column camid'),
        ('path;pid;camid\n1.jpg;anna\n', 'line 2: it has not as many fields'),
        (HEADER + '1.jpg,anna,1\n4.jpg,anna,nan\n', "line 3: camid is empty ('nan')"),
        (
            HEADER + '1.jpg,1.23457E+11,1\n',
            "line 2: pid '1.23457E+11' is a number that a data frame or a spreadsheet has rounded, so that several may",
        ),
        (HEADER + 'C:\\crops\\1.jpg,1,1\n', 'in the folder TOP, whose paths begin in it, such as day/1.jpg'),
        (HEADER + '1.jpg,anna,1\na/2.jpg,anna,2,3\n', 'line 3: it has not as many fields'),
        (HEADER + '1.jpg,anna, \n', 'line 2: camid is empty'),
        (HEADER + '9.jpg,anna,1\n', "line 2: no file '9.jpg' in the folder TOP"),
        (HEADER + '../x.jpg,anna,1\n', "line 2: '../x.jpg' is not in the folder TOP: put the image there"),
        (
            HEADER + '1.jpg,anna,1\n4.jpg,anna,1\n',
            '(1.jpg: person anna, camera 1 and 4.jpg: person anna, camera 1), so there is nothing to measure: '
            'if there is one camera, give the images of a person several camid',
        ),
        (HEADER + '1.jpg,anna,1\n./1.jpg,anna,2\n', "line 3: './1.jpg' is listed twice"),
        (HEADER + '1.jpg,anna,1\n4.jpg,anna,1\n5.jpg,bob,2\n', 'no person of query is in gallery under another camera'),
        (HEADER + '"1.jpg"x,anna,1\n', 'line 2: '),
    ],
)
def test_bad_csv_files_are_refused_in_one_line(labels, text, expected, tmp_path):
    top, path = labels(text)
    message = refusal(read_crops, top, path)
    assert message.startswith(path)
    assert expected.replace('TOP', str(tmp_path)) in message


def closed(*_):
    raise PermissionError(13, 'Permission denied')


def test_csv_files_that_cannot_be_read(labels, tmp_path, monkeypatch):
    top, path = labels(HEADER + 'é.jpg,anna,1\n', 'latin-1')
    assert f'cannot read {path}: it is not UTF-8 text, nor UTF-16: save it as UTF-8' in refusal(read_crops, top, path)
    _, chinese = labels(HEADER + '1.jpg,安娜,1\n', 'gbk', 'gbk.csv')
    assert 'by iconv -f GBK -t UTF-8 (folder.labels)' in refusal(read_crops, top, chinese)
    assert f'no file {top}/none.csv' in refusal(read_crops, top, f'{top}/none.csv')
    assert f'no file {top}' in refusal(read_crops, top, top)
    with monkeypatch.context() as patch:  # as root may read everything
        patch.setattr('builtins.open', closed)
        assert f'cannot read {path}: Permission denied (folder.labels)' in refusal(read_crops, top, path)
    pictures(tmp_path, 'query/anna/1.jpg')
    assert 'take out one of the two' in refusal(read_crops, top, path)


def test_names_are_the_same_however_they_are_spelt(labels):
    """Jos and an accent, as one letter or as two: in the folders' names so, in the file otherwise."""
    top, path = labels(HEADER + '1.jpg,Jose\u0301,1\n4.jpg,Jos\u00e9,2\n5.jpg,bob,e\u0301\n')
    crops = read_crops(top, path)
    assert (crops.people, crops.cameras) == (['Jos\u00e9', 'bob'], ['1', '2', '\u00e9'])
    assert [pid for _, pid, _ in crops.query] == [0, 0, 1]


@pytest.mark.parametrize(
    ('encoding', 'mark'), [('utf-16', ''), ('utf-16-le', ''), ('utf-16-be', ''), ('utf-16-be', '\ufeff')]
)
@pytest.mark.parametrize('separator', [',', ';', '\t', '|'])
def test_what_other_systems_write_is_read(labels, encoding, mark, separator):
    """UTF-16 with its mark and without, other separators, Windows' paths, an accent that is a character of its own."""
    rows = (('path', ' pid', 'camid'), ('a\\2.jpg', 'anna', '1'), ('"a\\u\u0308, 3.jpg"', 'anna', '2'))
    text = mark + ''.join(separator.join(row) + '\r\n' for row in rows)
    for found in (labels(text, encoding), labels(text.replace(' pid', 'pid'))):
        crops = read_crops(*found)
        assert labelled(crops.query, found[0]) == {'a/2.jpg': (0, 0), 'a/ü, 3.jpg': (0, 1)}


def test_ids_are_what_they_were_before_a_data_frame(labels):
    """A column of numbers with an empty cell becomes one of floats: junk stays nobody, and nobody no query."""
    plain = 'path,pid,camid\n1.jpg,7,1\na/2.jpg,7,2\n4.jpg,-1,1\n5.jpg,,2\n"a/ü, 3.jpg",,1\n'
    expected = read_crops(*labels(plain, name='labels.csv'))
    assert (expected.people, expected.cameras, len(expected.train)) == (['7'], ['1', '2'], 2)
    for empty in ('nan', 'NaN', 'None', '<NA>', 'null'):
        framed = plain.replace('7,', '7.0,').replace('-1,', '-1.0,').replace(',,', f',{empty},').replace('1\n', '1.0\n')
        assert read_crops(*labels(framed, name='labels.csv')) == expected


def test_people_who_are_called_so_are_people(labels):
    crops = read_crops(*labels(HEADER + '1.jpg,Nan,1\n4.jpg,Nan,2\n5.jpg,Null,1\na/2.jpg,1.5,1\n'))
    assert crops.people == ['1.5', 'Nan', 'Null']


def test_folders_that_a_data_frame_has_named(tmp_path):
    top = pictures(tmp_path, 'query/7.0/1.jpg', 'gallery/7/2.jpg', 'gallery/-1.0/3.jpg')
    crops = read_crops(str(top))
    assert crops.people == ['7']
    assert '  left out: junk, person -1 (1): gallery/-1.0/3.jpg' in crops.notes['test']
    pictures(top, 'gallery/nan/4.jpg')
    assert f"{top}/gallery/nan/4.jpg names no person: its folder is 'nan'" in refusal(read_crops, str(top))


def test_a_csv_file_in_the_home_folder(labels, monkeypatch):
    top, _ = labels(HEADER + '1.jpg,anna,1\n4.jpg,anna,2\n')
    monkeypatch.setenv('HOME', top)
    crops = read_crops(top, '~/my labels.csv')
    assert len(crops.query) == 2
    assert crops.notes['training'] == [UNKNOWN_CAMERAS]


def test_figures_can_call_people_as_the_user_does(make_datamanager, crops, rendered):
    for part in ('query', 'gallery'):
        for path in sorted((crops / part).iterdir()):
            (crops / part / f'p\x1b{path.name[:4]}').mkdir(exist_ok=True)
            path.rename(crops / part / f'p\x1b{path.name[:4]}' / path.name)
    datamanager = make_datamanager(root=crops, sources='folder')
    dataset = datamanager.test_loader['folder']['query'].dataset
    path, pid, camid, _ = dataset.data[0]
    assert person_name(dataset, pid) == repr(Path(path).parent.name)
    assert camera_name(dataset, camid) == Path(path).name[6]
    dataset = make_datamanager(root=rendered).test_loader['synthetic_target']['query'].dataset
    path, pid, camid, _ = dataset.data[0]
    assert (person_name(dataset, pid), camera_name(dataset, camid)) == (str(pid), Path(path).name[6])
