"""One check of all that a tool is to write: what it refuses, before the work, and that it leaves nothing."""

import errno
import os

import pytest

from paul_plugin.runtime import files
from paul_plugin.runtime.errors import UserError
from paul_plugin.runtime.files import whole_file
from paul_plugin.runtime.targets import check_targets


def refused(*targets, **options):
    with pytest.raises(UserError) as error:
        check_targets(targets, **options)
    return str(error.value)


def test_it_leaves_nothing(tmp_path):
    check_targets([tmp_path / 'new/deep/a.csv', tmp_path / 'b.csv'], suffixes=['.csv'])
    assert list(tmp_path.iterdir()) == []


def test_names(tmp_path, monkeypatch):
    (tmp_path / 'a.csv').touch()
    (tmp_path / 'link.csv').symlink_to('a.csv')
    os.mkfifo(tmp_path / 'pipe')
    assert 'a.csv exists: give another name, or --force' in refused(tmp_path / 'a.csv')
    assert 'a.csv must end in .npz or .parquet' in refused(tmp_path / 'a.csv', suffixes=['.npz', '.parquet'])
    assert 'is a folder: name the file' in refused(tmp_path)
    assert 'is a pipe or a device' in refused(tmp_path / 'pipe', force=True)
    assert 'b is to be written twice' in refused(tmp_path / 'b', f'{tmp_path}/../{tmp_path.name}/b')
    assert 'is to be written twice' in refused(tmp_path / 'a.csv', tmp_path / 'link.csv', force=True)
    check_targets([tmp_path / 'a.csv'], force=True)


def test_what_is_read_is_not_written(tmp_path):
    (tmp_path / 'crops').mkdir()
    query = tmp_path / 'crops/q.jpg'
    query.touch()
    assert 'q.jpg is read for it, and would be lost' in refused(query, force=True, inputs=[query])
    inside = refused(tmp_path / 'crops/groups.csv', force=True, inputs=[tmp_path / 'crops'])
    assert 'groups.csv lies among the images that are read' in inside
    check_targets([tmp_path / 'crops.csv'], inputs=[tmp_path / 'crops', query])


@pytest.mark.parametrize('name', ['history.json', 'results.json', 'results_test.json', 'signs.json', 'config.yaml'])
def test_what_a_run_keeps_is_not_written(tmp_path, name):
    check_targets([tmp_path / name])  # no run
    (tmp_path / 'model').mkdir()
    assert f'{name} is what a run keeps in its folder' in refused(tmp_path / name, force=True)
    (tmp_path / 'model/model.pth.tar-3').touch()
    assert 'is what a run keeps' in refused(tmp_path / 'model/model.pth.tar-3', force=True)
    check_targets([tmp_path / 'patches.png'])


def test_a_full_disk_and_a_closed_folder_are_told_by_the_targets_name(tmp_path, monkeypatch):
    target = tmp_path / 'a.npz'
    with monkeypatch.context() as patch:

        def full(descriptor):
            raise OSError(errno.ENOSPC, 'No space left on device')

        patch.setattr(files, '_sync', full)
        with pytest.raises(OSError, match='No space left') as error, whole_file(target) as file:
            file.write(b'x')
    assert error.value.filename == str(target)
    with pytest.raises(FileNotFoundError) as error, whole_file(tmp_path / 'none/a.npz'):
        pass
    assert error.value.filename == str(tmp_path / 'none/a.npz')
    (tmp_path / 'file').touch()
    assert refused(tmp_path / 'file/a.npz') == f'cannot write {tmp_path}/file/a.npz: Not a directory'
    assert refused(tmp_path / f'{"a" * 250}.csv').endswith('File name too long')
    assert list(tmp_path.iterdir()) == [tmp_path / 'file']
