"""Files that are whole or not there: under names that nobody can guess, on any file system, and nothing left behind."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.forks import Fork

from paul_plugin.checkpoints import published
from paul_plugin.checkpoints.folder import CheckpointFolder
from paul_plugin.data.synthetic.render import render
from paul_plugin.runtime import files, lock
from paul_plugin.runtime.errors import UserError
from paul_plugin.runtime.files import stat_digest, whole_file, write_atomically

UNFINISHED = '.x.txt.0123456789abcdef.partial'


@pytest.fixture(autouse=True)
def fresh():
    """As in a new process, each folder is looked at once more."""
    files.sweep.cache_clear()


# ---- names and modes -----------------------------------------------------------------------------------------------


def test_a_planted_link_is_not_written_through(tmp_path, monkeypatch):
    victim = tmp_path / 'victim'
    victim.write_text('mine')
    folder = tmp_path / 'out'
    folder.mkdir()
    tokens = iter(['0123456789abcdef'] * 2)
    monkeypatch.setattr(files.secrets, 'token_hex', lambda _: next(tokens))
    (folder / UNFINISHED).symlink_to(victim)  # even where the name is guessed
    (folder / f'.x.txt.{os.getpid()}').symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_atomically('new', folder / 'x.txt')
    assert victim.read_text() == 'mine'
    (folder / UNFINISHED).unlink()
    write_atomically('new', folder / 'x.txt')
    assert (victim.read_text(), (folder / 'x.txt').read_text()) == ('mine', 'new')


@pytest.mark.parametrize('mask', [0o022, 0o077])
def test_the_mode_follows_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_atomically('a', tmp_path / 'x')
    finally:
        os.umask(before)
    assert (tmp_path / 'x').stat().st_mode & 0o777 == 0o666 & ~mask


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    write_atomically('old', tmp_path / 'x')
    with pytest.raises(TypeError), whole_file(tmp_path / 'x') as file:
        file.writelines([b'half', 'no bytes'])
    assert os.listdir(tmp_path) == ['x']
    assert (tmp_path / 'x').read_text() == 'old'


# ---- file systems --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('number', [errno.EINVAL, errno.ENOSYS])
def test_a_file_system_without_fsync(tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, 'fsync', lambda _: (_ for _ in ()).throw(OSError(number, os.strerror(number))))
    CheckpointFolder(tmp_path).save({'epoch': 1}, 1)
    assert os.listdir(tmp_path) == ['model.pth.tar-1']


def test_a_disk_that_fails_is_not_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'fsync', lambda _: (_ for _ in ()).throw(OSError(errno.EIO, os.strerror(errno.EIO))))
    with pytest.raises(UserError, match='cannot write .*: Input/output error; the checkpoints before'):
        CheckpointFolder(tmp_path).save({'epoch': 1}, 1)
    assert os.listdir(tmp_path) == []


def test_windows(tmp_path, monkeypatch):
    """No fcntl, no folder can be opened, no open file renamed: a run's files are written all the same."""
    real_open, real_replace, opened = os.open, os.replace, []

    def no_folder(path, flags, *mode):
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, 'Permission denied', path)
        opened.append(real_open(path, flags, *mode))
        return opened[-1]

    def closed_only(source, target):
        for descriptor in opened:
            with pytest.raises(OSError, match='Bad file descriptor'):
                os.fstat(descriptor)
        real_replace(source, target)

    monkeypatch.setitem(sys.modules, 'fcntl', None)
    monkeypatch.setattr(os, 'open', no_folder)
    monkeypatch.setattr(os, 'replace', closed_only)
    monkeypatch.setattr(files, '_WINDOWS', True)
    monkeypatch.delattr(os, 'O_NOFOLLOW')
    for epoch in (1, 2, 3):
        opened.clear()
        CheckpointFolder(tmp_path / 'model').save({'epoch': epoch}, epoch, best=True)
    assert sorted(os.listdir(tmp_path / 'model')) == ['model-best.pth.tar', 'model.pth.tar-2', 'model.pth.tar-3']
    render(tmp_path / 'data', 'source', seed=1, train_ids=2, test_ids=2, images_per_id=4)
    assert sorted(os.listdir(tmp_path)) == ['data', 'model']


# ---- what a kill leaves --------------------------------------------------------------------------------------------


def test_what_a_killed_process_left_is_swept(tmp_path):
    text = (
        'import os, sys, time\n'
        'from pathlib import Path\n'
        'from paul_plugin.runtime.files import scratch_folder, whole_file\n'
        "with whole_file(Path(sys.argv[1], 'x.txt')) as file, scratch_folder(Path(sys.argv[1], 'data')) as folder:\n"
        "    (folder / 'half').write_bytes(b'half')\n"
        "    print('ready', flush=True)\n"
        '    time.sleep(60)\n'
    )
    writer = Fork(text, tmp_path)
    assert writer.stdout.readline() == 'ready\n'
    assert len(os.listdir(tmp_path)) == 2
    write_atomically('a', tmp_path / 'y.txt')  # while the other lives, nothing of it is touched
    assert len(os.listdir(tmp_path)) == 3
    writer.kill()
    files.sweep.cache_clear()
    write_atomically('a', tmp_path / 'y.txt')
    assert os.listdir(tmp_path) == ['y.txt']


@pytest.mark.parametrize('name', ['.x.txt.77', 'x.txt.0123456789abcdef.partial', '.0123456789abcdef.partial'])
def test_what_is_not_ours_stays(tmp_path, name):
    (tmp_path / name).write_bytes(b'mine')
    write_atomically('a', tmp_path / 'y.txt')
    assert sorted(os.listdir(tmp_path)) == sorted([name, 'y.txt'])


def test_a_link_or_pipe_is_not_swept(tmp_path):
    target = tmp_path / 'target'
    target.write_bytes(b'mine')
    (tmp_path / UNFINISHED).symlink_to(target)
    os.mkfifo(tmp_path / '.z.0123456789abcdef.partial')  # opening it must not wait for a writer
    write_atomically('a', tmp_path / 'y.txt')
    assert target.read_bytes() == b'mine'


@pytest.mark.parametrize('what', ['render', 'download'])
def test_rendering_and_downloading_sweep_and_clean_up(tmp_path, monkeypatch, what):
    (tmp_path / '.data.0123456789abcdef.partial').mkdir()
    found = []

    def stop(*_, **__):
        found.extend(os.listdir(tmp_path))
        raise KeyError

    monkeypatch.setattr(published.gdown, 'download', stop)
    make = {
        'render': lambda path: render(path, 'source', 1, train_ids=2, test_ids=2, images_per_id=4, progress=stop),
        'download': lambda path: published.download(next(iter(published.PUBLISHED.values())), path),
    }[what]
    with pytest.raises(KeyError):
        make(tmp_path / 'data')
    assert len(found) == 1
    assert found[0] != '.data.0123456789abcdef.partial'
    assert os.listdir(tmp_path) == []


# ---- a run's folder ------------------------------------------------------------------------------------------------

HOLD = (
    'import os, sys, time\n'
    'from pathlib import Path\n'
    'from paul_plugin.runtime.lock import locked\n'
    "with locked(Path(sys.argv[1]), 'refused'):\n"
    '    worker = os.fork()\n'
    "    if worker: print(worker, flush=True)\n"
    '    time.sleep(60)\n'
)


def test_a_lock_ends_with_its_process_even_where_a_worker_lives_on(tmp_path):
    holder = Fork(HOLD, tmp_path / 'run')
    worker = int(holder.stdout.readline())
    try:
        refusal = f'another run writes into {tmp_path}/run'
        with pytest.raises(UserError, match=refusal), lock.locked(tmp_path / 'run', refusal):
            pass
        holder.kill()
        os.kill(worker, 0)  # it lives
        with lock.locked(tmp_path / 'run', 'refused') as descriptors:
            assert len(descriptors) == 1
    finally:
        os.kill(worker, 9)
    with lock.locked(tmp_path / 'run', 'refused'):  # and again, after it was let go
        pass


def test_a_process_that_is_given_the_lock_holds_it_on(tmp_path):
    with lock.locked(tmp_path, 'refused') as descriptors:
        child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE, pass_fds=descriptors)
    with pytest.raises(UserError, match='refused'), lock.locked(tmp_path, 'refused'):
        pass
    child.communicate(b'\n')
    with lock.locked(tmp_path, 'refused'):
        pass


@pytest.mark.parametrize('number', [None, errno.ENOLCK])
def test_without_locks_a_run_goes_on_and_says_so_once(tmp_path, monkeypatch, capsys, number):
    import fcntl

    if number is None:
        monkeypatch.setitem(sys.modules, 'fcntl', None)
    else:
        monkeypatch.setattr(fcntl, 'flock', lambda *_: (_ for _ in ()).throw(OSError(number, 'refused')))
    with lock.locked(tmp_path, 'refused') as descriptors:
        write_atomically('a', tmp_path / 'x')
    assert descriptors == ()
    assert capsys.readouterr().out.count(f'warning: no locks in {tmp_path}:') == 1


def test_a_folder_that_cannot_be_made_is_left_to_the_first_write(tmp_path):
    (tmp_path / 'file').write_text('a')
    with lock.locked(tmp_path / 'file' / 'run', 'refused') as descriptors:
        assert descriptors == ()


# ---- what tells files from others ----------------------------------------------------------------------------------


def test_stat_digest_tells_changed_files(tmp_path):
    paths = [tmp_path / 'a.jpg', tmp_path / 'b.jpg']
    for path in paths:
        path.write_bytes(b'12345')
        os.utime(path, (1e9, 1e9))
    first = stat_digest(paths)
    assert first == stat_digest(map(str, paths))
    assert first != stat_digest(paths[::-1])
    paths[0].write_bytes(b'54321')  # the same name and size
    changed = stat_digest(paths)
    os.utime(paths[0], (1e9, 1e9))
    paths[1].write_bytes(b'1234')
    os.utime(paths[1], (1e9, 1e9))
    resized = stat_digest(paths)
    paths[1].unlink()
    assert len({first, changed, resized, stat_digest(paths)}) == 4


def test_stat_digest_outlives_a_move(tmp_path):
    for name in ('one', 'two'):
        Path(tmp_path, name).mkdir()
        Path(tmp_path, name, 'a.jpg').write_bytes(b'1')
        os.utime(tmp_path / name / 'a.jpg', (1e9, 1e9 + 0.3 * (name == 'two')))
    assert stat_digest([tmp_path / 'one/a.jpg']) == stat_digest([tmp_path / 'two/a.jpg'])


def test_a_users_file_that_cannot_be_written_is_told_in_a_line(tmp_path):
    (tmp_path / 'file').touch()
    writing = files.file_of_user(tmp_path / 'file/a.csv', '; ask')
    with pytest.raises(UserError, match=r'^cannot write .*file/a.csv: (Not a directory|File exists); ask'), writing:
        pass
