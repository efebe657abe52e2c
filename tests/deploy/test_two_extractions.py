"""Two extractions to one file: one is refused, and a chunk of another's is never taken for one's own."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from paul_plugin.deploy import extraction
from paul_plugin.deploy.extraction import extract
from paul_plugin.deploy.kept_chunks import Kept
from paul_plugin.runtime import lock
from paul_plugin.runtime.errors import UserError
from paul_plugin.runtime.lock import locked_while_there, try_lock

LOCKS = """
import sys, fcntl, os
folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
descriptor = os.open(folder, os.O_RDONLY)
fcntl.flock(descriptor, fcntl.LOCK_EX)
print('locked', flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize('force', [False, True])
def test_the_second_is_refused(trained, dozen, tmp_path, force):
    words = [sys.executable, '-c', LOCKS, str(tmp_path / 'a.npz.parts')]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == 'locked\n'
        with pytest.raises(UserError, match='another extraction writes .*a.npz: wait for it, or name another file'):
            extract(trained, dozen, tmp_path / 'a.npz', force=force)
        other.stdin.close()
    assert extract(trained, dozen, tmp_path / 'a.npz').count == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.npz', 'crops']


def test_what_another_wrote_meanwhile_is_not_written_over(trained, dozen, tmp_path, monkeypatch):
    monkeypatch.setattr(extraction, '_digest_of_files', lambda *args: (tmp_path / 'a.npz').write_text('its') and '')
    with pytest.raises(UserError, match='a.npz exists: give another name, or --force'):
        extract(trained, dozen, tmp_path / 'a.npz')
    assert (tmp_path / 'a.npz').read_text() == 'its'


def stop(*args):
    raise KeyboardInterrupt


def test_a_chunk_of_another_model_is_made_again(trained, make_trained, dozen, tmp_path, monkeypatch):
    """As where two wrote the same chunks: on file systems without locks, or by an earlier version."""
    other, target = make_trained(seed=1), tmp_path / 'a.npz'
    with monkeypatch.context() as patch:
        patch.setattr(Kept, 'left_out', stop)
        for model, path in ((trained, target), (other, tmp_path / 'b.npz')):
            with pytest.raises(KeyboardInterrupt):
                extract(model, dozen, path, chunk=3)
    first, second = (f'a.npz.parts/{start:09d}.npz' for start in (0, 3))
    shutil.copy(tmp_path / 'b.npz.parts/000000000.npz', tmp_path / first)
    with np.load(tmp_path / second) as arrays:
        kept = {name: arrays[name] for name in ('descriptors', 'left_out')}
    np.savez(tmp_path / second, **kept)  # as it was without the digest
    extract(trained, dozen, target, chunk=3)
    assert target.read_bytes() == extract(trained, dozen, tmp_path / 'c.npz', chunk=3).path.read_bytes()


def test_a_chunk_that_another_replaces_in_the_end_is_refused(trained, dozen, tmp_path, monkeypatch):
    save = Kept.save

    def spoilt(self, file, *args):
        save(self._replace(digest='another'), file, *args)

    monkeypatch.setattr(Kept, 'save', spoilt)
    with pytest.raises(UserError, match='was written by another extraction meanwhile: give the command again'):
        extract(trained, dozen, tmp_path / 'a.npz')
    assert not (tmp_path / 'a.npz').exists()


def test_the_lock_leaves_no_folder(tmp_path):
    with locked_while_there(tmp_path / 'a/b', 'no'):
        assert (tmp_path / 'a/b').is_dir()
        with pytest.raises(UserError, match='^no$'), locked_while_there(tmp_path / 'a/b', 'no'):
            pass
    assert list((tmp_path / 'a').iterdir()) == []


def test_the_lock_is_on_the_folder_that_is_there(tmp_path, monkeypatch):
    """Another process ends, and removes the folder, just before it is locked."""
    folder, locks = tmp_path / 'a', []

    def removed_first(descriptor):
        locks.append(descriptor)
        if len(locks) == 1:
            folder.rmdir()
        return try_lock(descriptor)

    monkeypatch.setattr(lock, 'try_lock', removed_first)
    with locked_while_there(folder, 'no'):
        assert folder.is_dir()
        monkeypatch.undo()
        with pytest.raises(UserError, match='^no$'), locked_while_there(folder, 'no'):
            pass
        folder.rmdir()
        folder.mkdir()  # another one's
    assert folder.is_dir()
