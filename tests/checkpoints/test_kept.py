"""What is kept of a run's checkpoints."""

import os

import pytest

from paul_plugin.checkpoints.folder import CheckpointFolder
from paul_plugin.checkpoints.reading import read_checkpoint


def test_folder_keeps_the_newest_and_the_best(tmp_path):
    folder = CheckpointFolder(tmp_path / 'model', keep=2)
    for epochs, steps, best in ((1, 0, False), (2, 0, True), (2, 7, False), (2, 12, False), (10, 0, False)):
        folder.save({'epoch': epochs, 'steps': steps}, epochs, steps, best)
    assert [path.name for path in folder.files()] == ['model.pth.tar-10', 'model.pth.tar-2-12']
    assert sorted(os.listdir(folder.path)) == ['model-best.pth.tar', 'model.pth.tar-10', 'model.pth.tar-2-12']
    assert read_checkpoint(folder.path / 'model-best.pth.tar') == {'epoch': 2, 'steps': 0}

    (folder.path / 'model.pth.tar-10').write_bytes(b'PK half a file')
    assert folder.read_newest() == (folder.path / 'model.pth.tar-2-12', {'epoch': 2, 'steps': 12})
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
