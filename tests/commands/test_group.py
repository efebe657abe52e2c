"""The tool that groups a folder of crops: its CSV file, its pictures, what it refuses."""

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paul_plugin.commands import command
from paul_plugin.commands import group as tool
from paul_plugin.deploy.as_tested import described, distances
from paul_plugin.deploy.descriptor_file import write_descriptors
from paul_plugin.deploy.extraction import extract
from paul_plugin.deploy.fingerprint import fingerprint
from paul_plugin.report.thresholds.measured import labelled_threshold
from paul_plugin.run.trained import open_trained


@pytest.fixture(scope='module')
def trained(make_trained):
    return make_trained()


@pytest.fixture
def crops(rendered, tmp_path):
    """5 pictures of different people, in 4 files each, and one that cannot be read."""
    folder = tmp_path / 'crops'
    folder.mkdir()
    for place, path in enumerate(sorted(rendered.rglob('query/*.jpg'))[::3][:5]):
        for copy in range(4):
            shutil.copy(path, folder / f'{copy}_{place}.jpg')
    (folder / 'half.jpg').write_bytes((folder / '0_0.jpg').read_bytes()[:500])
    return folder


def refusal(words, capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(tool, [str(word) for word in words])
    assert stop.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_writes_groups_and_pictures(trained, crops, tmp_path, capsys):
    target = tmp_path / 'new/groups.csv'
    words = [str(trained.path), str(crops), str(target), '--neighbours', '3', '--rows', '2', '--pixels', '40']
    words += ['--threshold', 'none']
    command.main(tool, [*words, '--sheets', '2'])
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith('1 of 21 images')
    assert out[2] == f'{target}: 20 crops in 5 groups, and 0 like no other'
    assert out[3].startswith('warning: 5 groups have as many crops as --neighbours 3 or more, the largest 4')
    assert out[4:] == [f'Written to {tmp_path}/new/groups_{sheet}.png' for sheet in (1, 2)]
    rows = list(csv.DictReader(target.open()))
    assert [row['group'] for row in rows] == [number for number in '12345' for _ in range(4)]
    people = [{Path(row['file']).stem[-1] for row in rows if row['group'] == number} for number in '12345']
    assert sorted(map(sorted, people)) == [[name] for name in '01234']
    with Image.open(tmp_path / 'new/groups_1.png') as image:
        assert image.height > 2 * 40
    assert 'groups.csv exists: give another name, or --force' in refusal(words, capsys)
    extract(trained, crops, tmp_path / 'a.npz')
    before = target.read_bytes()
    command.main(tool, [words[0], str(tmp_path / 'a.npz'), *words[2:], '--force', '--rows', '20'])
    assert target.read_bytes() == before
    assert [path.name for path in target.parent.glob('*.png')] == ['groups_1.png']  # the second was of other rows
    (target.parent / 'groups_2.png').touch()  # of an earlier grouping
    command.main(tool, [words[0], str(tmp_path / 'a.npz'), *words[2:], '--force', '--sheets', '0'])
    assert target.read_bytes() == before
    assert [path.name for path in target.parent.iterdir()] == ['groups.csv']


def test_warns_of_neighbours_that_are_too_many_or_too_few(trained, crops, tmp_path, capsys):
    words = [str(trained.path), str(crops), str(tmp_path / 'a.csv'), '--sheets', '0', '--force']
    command.main(tool, [*words, '--threshold', 'none', '--neighbours', '19'])
    few, _, large = capsys.readouterr().out.splitlines()[2:]
    assert few.startswith('warning: 20 crops and --neighbours 19: each crop is among the nearest of all others')
    assert large.startswith('warning: 1 groups have as many crops as --neighbours 19 or more, the largest 20')
    command.main(tool, [*words, '--threshold', '0.00001', '--neighbours', '5'])
    assert 'warning' not in capsys.readouterr().out


def test_the_threshold_of_the_runs_own_labels(embedded_run, rendered, crops, tmp_path, capsys):
    words = [str(embedded_run), str(crops), str(tmp_path / 'a.csv'), '--sheets', '0', '--force']
    command.main(tool, words)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith('threshold')]
    found, told = labelled_threshold(open_trained(embedded_run))
    assert line == told
    trained = open_trained(embedded_run)
    top = next(rendered.glob('synthetic_target/*/query')).parent
    of = [sorted(map(str, (top / part).iterdir())) for part in ('query', 'bounding_box_test')]
    matrix = distances(trained, *(described(trained, part) for part in of)).numpy()
    tells = [[re.findall(r'(\d+)_c(\d)', path)[-1] for path in part] for part in of]
    different = [
        matrix[i, j] for i, a in enumerate(tells[0]) for j, b in enumerate(tells[1]) if a[0] != b[0] and a[1] != b[1]
    ]
    assert np.mean(np.array(different) < found) == pytest.approx(0.01, abs=1.5 / len(different))
    bare, told = labelled_threshold(trained._replace(checkpoint={}))
    assert (bare, told) == (None, 'no threshold: its file tells of no data; --threshold names one')


def test_refuses_in_one_line(trained, crops, tmp_path, capsys):
    words = [trained.path, crops, tmp_path / 'a.csv']
    (tmp_path / 'a_2.png').touch()
    assert 'a_2.png exists: give another name, or --force' in refusal(words, capsys)
    (tmp_path / 'a_2.png').unlink()
    assert 'a.txt must end in .csv' in refusal([*words[:2], tmp_path / 'a.txt'], capsys)
    assert 'must be above 0 and at most 1, got 0' in refusal([*words, '--overlap', '0'], capsys)
    assert '--threshold: must be a number, got x' in refusal([*words, '--threshold', 'x'], capsys)
    centred = {**fingerprint(trained), 'root': str(crops), 'centred_cameras': True}
    write_descriptors(tmp_path / 'centred.npz', ['0_0.jpg'], [np.ones((1, trained.dim), np.float32)], centred)
    refused = refusal([words[0], tmp_path / 'centred.npz', words[2]], capsys)
    assert 'without the mean of their camera' in refused
    assert refused.endswith(
        'make it again without --centre-cameras; a search by paul visualize ranking has that option itself'
    )
    inside = refusal([*words[:2], crops / 'groups.csv', '--force'], capsys)
    assert 'groups.csv lies among the images that are read' in inside
    assert not (tmp_path / 'a.csv').exists()
