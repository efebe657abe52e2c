"""The cameras of a folder's training images: by a pattern, by the number after `_c`, by a CSV file, or unknown."""

import os
import re

import pytest
from helpers.crops import UNKNOWN_CAMERAS, labelled, names, pictures, refusal

from paul_plugin.data.cameras import natural
from paul_plugin.data.folder import FolderDataset, read_crops


def cameras(crops):
    """Training image -> its camera's name."""
    read = zip(names(crops.train, crops.folder), crops.train_cameras, strict=True)
    return {name: crops.cameras[number] for name, number in read}


def test_by_the_number_after_c(tmp_path):
    top = pictures(tmp_path, 'monday/x_c10.jpg', 'monday/x_c02_1.jpg', 'tuesday_c7/x_c3.jpg')
    crops = read_crops(str(top))
    assert cameras(crops) == {'monday/x_c02_1.jpg': '2', 'monday/x_c10.jpg': '10', 'tuesday_c7/x_c3.jpg': '3'}
    assert crops.cameras == ['2', '3', '10']
    assert crops.notes['training'] == [
        '  read: monday/x_c02_1.jpg: camera 2',
        '  cameras: 2 (1 crops), 3 (1 crops), 10 (1 crops)',
    ]
    assert read_crops(str(top)) == crops

    # One that has none, and nothing is known.
    pictures(top, 'another.jpg')
    crops = read_crops(str(top))
    assert (crops.train_cameras, crops.cameras) == ([0] * 4, [])
    assert crops.notes['training'] == [UNKNOWN_CAMERAS]


def test_by_a_pattern(tmp_path):
    top = pictures(
        tmp_path,
        *('gate 10/anna/1.jpg', 'gate 2/1.jpg', 'gate 2/2_c7.jpg', 'hall/1.jpg'),
        *('query/anna/gate 10/1.jpg', 'query/anna/yard.jpg', 'gallery/anna/hall.jpg'),
    )
    os.rename(top / 'query/anna/gate 10/1.jpg', top / 'query/anna/gate 10.jpg')
    os.rmdir(top / 'query/anna/gate 10')
    crops = read_crops(str(top), camera='(gate \\d+|hall|yard)')
    assert cameras(crops) == {
        'gate 10/anna/1.jpg': 'gate 10', 'gate 2/1.jpg': 'gate 2', 'gate 2/2_c7.jpg': 'gate 2', 'hall/1.jpg': 'hall',
    }  # fmt: skip
    # Query and gallery have the same numbers, after those of the training images.
    assert crops.cameras == ['gate 2', 'gate 10', 'hall', 'yard']
    assert labelled(crops.query, top) == {'query/anna/gate 10.jpg': (0, 1), 'query/anna/yard.jpg': (0, 3)}
    assert labelled(crops.gallery, top) == {'gallery/anna/hall.jpg': (0, 2)}


def test_images_to_test_on_change_no_number_of_training(tmp_path):
    top = pictures(tmp_path, 'a_c3.jpg', 'b_c5.jpg')
    without = read_crops(str(top))
    pictures(top, 'query/anna/x_c1.jpg', 'gallery/anna/x_c3.jpg')
    crops = read_crops(str(top))
    assert crops.train_cameras == without.train_cameras == [0, 1]
    assert crops.cameras == ['3', '5', '1']
    assert ([item[2] for item in crops.query], [item[2] for item in crops.gallery]) == ([2], [0])


def test_by_a_csv_file(tmp_path):
    top = pictures(tmp_path, '1.jpg', '2.jpg', '3.jpg', '4.jpg')
    labels = tmp_path / 'labels.csv'
    rows = ['path,pid,camid', '1.jpg,anna,gate', '2.jpg,anna,hall', '3.jpg,,hall', '4.jpg, ,yard']
    labels.write_text('\n'.join(rows))
    crops = read_crops(str(top), str(labels))
    assert cameras(crops) == {'3.jpg': 'hall', '4.jpg': 'yard'}
    assert crops.cameras == ['hall', 'yard', 'gate']
    assert labelled(crops.query, top) == labelled(crops.gallery, top) == {'1.jpg': (0, 2), '2.jpg': (0, 0)}

    # The file may tell nothing but cameras; then there is no test.
    labels.write_text('path,pid,camid\n' + '\n'.join(f'{number}.jpg,,c{number % 2}' for number in range(1, 5)))
    crops = read_crops(str(top), str(labels))
    assert (crops.train_cameras, crops.query) == ([1, 0, 1, 0], [])
    labels.write_text('\n'.join(rows[:-1]))
    message = refusal(read_crops, str(top), str(labels))
    assert 'not of 1 of 2, such as 4.jpg: list all of them (PATH,,CAMERA), or none' in message
    message = refusal(read_crops, str(top), str(labels), '(.)')
    assert 'tells the cameras of training images, too: take out one of the two' in message


@pytest.mark.parametrize(
    ('pattern', 'expected'),
    [
        ('gate (\\d+)/', '2 of 3 images in TOP do not match, such as 1.jpg: correct the expression'),
        ('(gate)?', '2 of 3 images in TOP do not match'),
        ('gate', "must have one group, (...), which holds the camera's name, not 0"),
        ('(g)(a)', "must have one group, (...), which holds the camera's name, not 2"),
        ('(gate', 'is no regular expression (missing ), unterminated subpattern at position 0)'),
        ('(a{99999999999})', 'is no regular expression ('),
    ],
)
def test_bad_patterns_are_refused_in_one_line(tmp_path, pattern, expected):
    top = pictures(tmp_path, '1.jpg', 'gate 1/1.jpg', 'hall/1.jpg')
    message = refusal(read_crops, str(top), '', pattern)
    assert message.startswith(f"folder.camera = '{pattern}': ")  # as it was typed
    assert expected.replace('TOP', str(top)) in message


def test_in_torchreids_items(tmp_path, capsys):
    top = pictures(tmp_path, 'b/1.jpg', 'a/1.jpg', 'a/2.jpg', 'query/anna/1.jpg', 'gallery/anna/1.jpg')
    pattern = '^([ab]|query|gallery)/'
    dataset = FolderDataset(path=str(top), camera=pattern)
    assert [(re.sub('.*/(./)', r'\1', path), *rest) for path, *rest in dataset.train] == [
        ('a/1.jpg', 0, 0, 0), ('a/2.jpg', 0, 0, 0), ('b/1.jpg', 0, 1, 0),
    ]  # fmt: skip
    assert (dataset.query[0][2], dataset.gallery[0][2]) == (3, 2)
    assert dataset.cameras == ['a', 'b', 'gallery', 'query']
    dataset.show_summary()
    assert '  cameras: a (2 crops), b (1 crops)\n' in capsys.readouterr().out


def test_many_cameras_are_counted_and_the_first_are_named(tmp_path):
    notes = read_crops(str(pictures(tmp_path, *(f'{n}_c{n}.jpg' for n in range(30))))).notes['training']
    assert notes[1].endswith(' 18 (1 crops), 19 (1 crops), ... (30 cameras)')


# ---- a camera that nobody has named ----------------------------------------------------------------------------------


def detected(*frames, boxes=4):
    """Names as a detector gives them to the boxes of each frame: x.jpg, x2.jpg, x3.jpg, ..."""
    return [f'{frame}{box if box > 1 else ""}.jpg' for frame in frames for box in range(1, boxes + 1)]


@pytest.mark.parametrize(
    ('images', 'expected'),
    [
        (
            detected('f0000_c1', 'f0000_c2', 'f0001_c1', 'f0001_c2'),
            'but f0000_c1.jpg, f0000_c12.jpg, f0000_c13.jpg seem to be the boxes of one picture, counted by a detector'
            ": name the cameras by folder.camera, such as '_c(\\d{1})', or '_c(\\d+)' if they are right",
        ),
        (detected('day/vid1_c0000', 'day/vid1_c0001'), 'but day/vid1_c0000.jpg, day/vid1_c00002.jpg, '),
        (['1_c1.jpg', *detected('2_c1', boxes=2)], "but 2_c1.jpg, 2_c12.jpg seem to be the boxes of one picture"),
    ],
)
def test_a_detectors_counter_is_no_camera(tmp_path, images, expected):
    top = pictures(tmp_path, *images)
    assert expected in refusal(read_crops, str(top))
    assert 'seem to be the boxes of one picture' in refusal(read_crops, str(top), '')
    named = [f'query/a/{os.path.basename(name)}' for name in images]
    parts = pictures(tmp_path / 'parts', 'gallery/a/1_c1.jpg', *named)
    assert 'seem to be the boxes of one picture' in refusal(read_crops, str(parts))


def test_cameras_behind_a_detectors_counter(tmp_path):
    top = pictures(tmp_path, *detected('f0000_c1', 'f0000_c2'))
    assert read_crops(str(top), camera='_c(\\d{1})').cameras == ['1', '2']
    assert len(read_crops(str(top), camera='_c(\\d+)').cameras) == 8  # as the message says, if they are right
    others = pictures(tmp_path / 'new', 'f_c1.jpg', 'f_c1-2.jpg', 'f_c1-3.jpg', 'f_c2.jpg', 'f_c2_2.jpg', 'f_c2 2.jpg')
    assert read_crops(str(others)).cameras == ['1', '2']
    many = pictures(tmp_path / 'many', *(f'f{frame}_c{camera}.jpg' for frame in (1, 2) for camera in range(1, 15)))
    assert len(read_crops(str(many)).cameras) == 14  # there are 10 and 11


def test_more_cameras_than_crops_of_each_are_asked_for(tmp_path):
    """A number after _c that counts frames: a camera of two crops for each."""
    top = pictures(tmp_path, *(f'vid1_c{frame:04d}_{box}.jpg' for frame in range(30) for box in (1, 2)))
    message = refusal(lambda: FolderDataset(path=str(top)))
    assert message == (
        f'the numbers after _c make 30 cameras in {top}, of 2 crops in the median, such as vid1_c0000_1.jpg, '
        "vid1_c0001_1.jpg, vid1_c0002_1.jpg: name the cameras by folder.camera, a regular expression, '_c(\\d+)' if "
        "they are right, '_(c)' if there is one"
    )
    assert len(FolderDataset(path=str(top), camera='_c(\\d+)').cameras) == 30
    assert FolderDataset(path=str(top), camera='_(c)').cameras == ['c']
    assert FolderDataset(path=str(top), mode='query').cameras  # nothing is trained


def test_few_crops_of_few_cameras_are_a_guess_that_is_told(tmp_path):
    top = pictures(tmp_path, *(f'{box}_c{camera}.jpg' for camera in (1, 2) for box in range(6)))
    (doubtful,) = [line for line in FolderDataset(path=str(top)).notes if 'a guess' in line]
    assert doubtful.startswith(
        f'  a guess: the numbers after _c make 2 cameras in {top}, of 6 crops in the median, such as 0_c1.jpg, 0_c2.jpg'
    )
    assert not [line for line in read_crops(str(top), k=3).notes['training'] if 'a guess' in line]
    assert not [line for line in read_crops(str(top), camera='_c(.)').notes['training'] if 'a guess' in line]


def test_natural_order():
    expected = ['', '02', '2', '10', '9' * 5000, 'c2', 'c10', 'c10 b', 'd1', 'é']
    backwards = expected[::-1]
    assert sorted(backwards, key=natural) == expected
