"""The tool that groups a folder of crops: its CSV file, its pictures, what it refuses."""

import csv
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from paul_plugin.commands import group as tool
from paul_plugin.deploy.extraction import extract


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
        tool.main([str(word) for word in words])
    assert stop.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_writes_groups_and_pictures(trained, crops, tmp_path, capsys):
    target = tmp_path / 'new/groups.csv'
    words = [str(trained.path), str(crops), str(target), '--neighbours', '3', '--rows', '2', '--pixels', '40']
    tool.main([*words, '--sheets', '2'])
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith('1 of 21 images')
    assert out[2] == f'{target}: 20 crops in 5 groups, and 0 like no other'
    assert out[3:] == [f'Written to {tmp_path}/new/groups_{sheet}.png' for sheet in (1, 2)]
    rows = list(csv.DictReader(target.open()))
    assert [row['group'] for row in rows] == [number for number in '12345' for _ in range(4)]
    people = [{Path(row['file']).stem[-1] for row in rows if row['group'] == number} for number in '12345']
    assert sorted(map(sorted, people)) == [[name] for name in '01234']
    with Image.open(tmp_path / 'new/groups_1.png') as image:
        assert image.height > 2 * 40
    assert 'groups.csv exists: give another name, or --force' in refusal(words, capsys)
    extract(trained, crops, tmp_path / 'a.npz')
    before = target.read_bytes()
    tool.main([words[0], str(tmp_path / 'a.npz'), *words[2:], '--force', '--rows', '20'])
    assert target.read_bytes() == before
    assert [path.name for path in target.parent.glob('*.png')] == ['groups_1.png']  # the second was of other rows
    tool.main([words[0], str(tmp_path / 'a.npz'), *words[2:], '--force', '--sheets', '0'])
    assert target.read_bytes() == before


def test_refuses_in_one_line(trained, crops, tmp_path, capsys, monkeypatch):
    words = [trained.path, crops, tmp_path / 'a.csv']
    (tmp_path / 'a_2.png').touch()
    assert 'a_2.png exists: give another name, or --force' in refusal(words, capsys)
    (tmp_path / 'a_2.png').unlink()
    assert 'a.txt must end in .csv' in refusal([*words[:2], tmp_path / 'a.txt'], capsys)
    assert 'must be above 0 and at most 1, got 0' in refusal([*words, '--overlap', '0'], capsys)
    monkeypatch.setitem(sys.modules, 'sklearn.cluster', None)
    assert 'the package scikit-learn is not there: pip install scikit-learn' in refusal(words, capsys)
    assert not (tmp_path / 'a.csv').exists()
