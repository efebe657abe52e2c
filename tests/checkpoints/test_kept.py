"""What is kept of a run's checkpoints, and a save that fails."""

import os
import re

import pytest
from helpers.forks import Fork

from paul_plugin.checkpoints.folder import CheckpointFolder
from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.runtime.files import save_atomically


def test_folder_keeps_the_newest_and_the_best(tmp_path):
    folder = CheckpointFolder(tmp_path / 'model', keep=2)
    for epochs, steps, best in ((1, 0, False), (2, 0, True), (2, 7, False), (2, 12, False), (10, 0, False)):
        folder.save({'epoch': epochs, 'steps': steps}, epochs, steps, best)
    assert [path.name for path in folder.files()] == ['model.pth.tar-10', 'model.pth.tar-2-12']
    assert sorted(os.listdir(folder.path)) == ['model-best.pth.tar', 'model.pth.tar-10', 'model.pth.tar-2-12']
    assert read_checkpoint(folder.path / 'model-best.pth.tar') == {'epoch': 2, 'steps': 0}

    (folder.path / 'model.pth.tar-10').write_bytes(b'PK half a file')
    assert folder.read_newest() == (folder.path / 'model.pth.tar-2-12', {'epoch': 2, 'steps': 12})
    (folder.path / '.model.pth.tar-11.77').write_bytes(b'half a file')
    folder.remove_partial()
    assert len(os.listdir(folder.path)) == 3
    assert folder.set_aside() == tmp_path / 'model.1'
    assert folder.newest() is None
    assert folder.set_aside() is None
    for number, move in ((2, folder.set_aside), (3, folder.set_kept_aside)):
        folder.save_kept({'epoch': 0})
        assert move() == tmp_path / f'model.{number}'
        assert os.listdir(tmp_path / f'model.{number}') == ['kept.pth.tar']
        assert not folder.kept.exists()
    assert folder.set_kept_aside() is None
    with pytest.raises(ValueError, match='keep must be at least 1, got 0'):
        CheckpointFolder(tmp_path, keep=0)


def test_a_save_that_fails_leaves_the_old_file(tmp_path):
    """A limit on the size of files stands for a full disk: the system refuses the write in the middle of the file."""
    path = tmp_path / 'model.pth.tar-1'
    save_atomically({'epoch': 1}, path)
    program = (
        'import resource, sys, torch; from pathlib import Path; from paul_plugin.runtime.files import save_atomically;'
        'resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));'
        'save_atomically({"weights": torch.zeros(1_000_000)}, Path(sys.argv[1]))'
    )
    _, told = Fork(program, path).communicate()
    assert re.search(f'UserError: cannot write {path}: File too large', told)
    assert read_checkpoint(path) == {'epoch': 1}
    assert os.listdir(tmp_path) == [path.name]
