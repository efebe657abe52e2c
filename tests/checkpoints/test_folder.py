"""A run's checkpoints: which one is the newest, which are kept, which are moved away, and what stops a run instead."""

import builtins
import errno
import os

import pytest
import torch

from paul_plugin.checkpoints import folder as folder_module
from paul_plugin.checkpoints import resume
from paul_plugin.checkpoints.folder import BEST, CheckpointFolder
from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.runtime.errors import UserError


def make(path, *places, keep=2):
    """A folder in which a run saved checkpoints at these (epochs, steps)."""
    folder = CheckpointFolder(path / 'model', keep=keep)
    for epochs, steps in places:
        folder.save({'epoch': epochs, 'summaries': [{}] * steps}, epochs, steps)
    return folder


def names(path):
    return sorted(file.name for file in path.iterdir())


# ---- going back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('keep', [1, 2, 3])
def test_a_file_just_saved_is_the_newest(tmp_path, keep, capsys):
    make(tmp_path, (3, 3), (4, 0))
    folder = make(tmp_path, (2, 3), keep=keep)
    assert folder.files() == [folder.path / 'model.pth.tar-2-3']
    assert folder.read_newest()[0].name == 'model.pth.tar-2-3'
    assert names(tmp_path / 'model.1') == ['model.pth.tar-3-3', 'model.pth.tar-4']
    assert f'The later checkpoints of an earlier run are in {tmp_path}/model.1 now' in capsys.readouterr().out


def test_going_back_sets_the_later_ones_aside(tmp_path):
    folder = make(tmp_path, (1, 0), (2, 0), (2, 5), keep=9)
    assert folder.set_aside((2, 5)) is None
    assert folder.set_aside((2, 0)) == tmp_path / 'model.1'
    assert names(folder.path) == ['model.pth.tar-1', 'model.pth.tar-2']
    assert folder.set_aside((0, 7)) == tmp_path / 'model.2'
    assert names(tmp_path / 'model.2') == ['model.pth.tar-1', 'model.pth.tar-2']


@pytest.mark.parametrize(('best', 'moved'), [(1, False), (2, False), (3, True)])
def test_the_best_is_set_aside_if_it_is_later(tmp_path, best, moved):
    folder = make(tmp_path, (4, 0))
    torch.save({'epoch': best, 'summaries': []}, folder.path / BEST)
    folder.set_aside((2, 0))
    assert (tmp_path / 'model.1' / BEST).exists() == moved
    assert (folder.path / BEST).exists() != moved


def test_a_best_of_unknown_epoch_stays(tmp_path):
    folder = make(tmp_path, (4, 0))
    torch.save({'state_dict': {}}, folder.path / BEST)
    folder.set_aside((2, 0))
    assert names(folder.path) == [BEST]


def test_a_checkpoint_of_no_epochs_is_kept(tmp_path):
    folder = make(tmp_path, (0, 0))
    assert names(folder.path) == ['model.pth.tar-0']


def test_the_newest_and_the_best_are_kept(tmp_path):
    folder = CheckpointFolder(tmp_path / 'model', keep=2)
    for epochs, steps, best in ((1, 0, False), (2, 0, True), (2, 7, False), (2, 12, False), (10, 0, False)):
        folder.save({'epoch': epochs, 'steps': steps}, epochs, steps, best)
    assert [path.name for path in folder.files()] == ['model.pth.tar-10', 'model.pth.tar-2-12']
    assert names(folder.path) == [BEST, 'model.pth.tar-10', 'model.pth.tar-2-12']
    assert read_checkpoint(folder.path / BEST) == {'epoch': 2, 'steps': 0}
    assert folder.set_aside() == tmp_path / 'model.1'
    assert folder.newest() is folder.set_aside() is None
    for number, move in ((2, folder.set_aside), (3, folder.set_kept_aside)):
        folder.save_kept({'epoch': 0})
        assert move() == tmp_path / f'model.{number}'
        assert names(tmp_path / f'model.{number}') == ['kept.pth.tar']
    assert folder.set_kept_aside() is None
    with pytest.raises(ValueError, match='keep must be at least 1, got 0'):
        CheckpointFolder(tmp_path, keep=0)


def test_the_best_is_replaced(tmp_path):
    folder = make(tmp_path)
    for epoch in (1, 1, 2):  # the second time the best is the same file already
        folder.save({'epoch': epoch}, epoch, best=True)
        assert read_checkpoint(folder.path / BEST) == {'epoch': epoch}
    assert names(folder.path) == [BEST, 'model.pth.tar-1', 'model.pth.tar-2']


def test_the_best_is_copied_where_there_are_no_links(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'link', lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, 'no links')))
    folder = make(tmp_path)
    folder.save({'epoch': 1}, 1, best=True)
    assert read_checkpoint(folder.path / BEST) == {'epoch': 1}
    assert names(folder.path) == [BEST, 'model.pth.tar-1']


# ---- what cannot be read -------------------------------------------------------------------------------------------


def test_damage_leads_to_the_one_before(tmp_path, capsys):
    folder = make(tmp_path, (1, 0), (2, 0))
    (folder.path / 'model.pth.tar-2').write_bytes(b'PK half a file')
    assert folder.read_newest() == (folder.path / 'model.pth.tar-1', {'epoch': 1, 'summaries': []})
    assert 'trying the one before' in capsys.readouterr().out


def test_nothing_but_damage_stops(tmp_path):
    folder = make(tmp_path, (1, 0), (2, 0))
    for path in folder.files():
        path.write_bytes(b'PK half a file')
    with pytest.raises(UserError, match='no checkpoint in .*model can be read, 2 are damaged: move the folder away'):
        resume.find('auto', folder)
    assert len(folder.files()) == 2


def test_no_checkpoint_is_a_new_start(tmp_path):
    assert resume.find('auto', CheckpointFolder(tmp_path / 'model')) is None


@pytest.mark.parametrize('number', [errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_file_that_cannot_be_read_now_stops(tmp_path, monkeypatch, number):
    folder = make(tmp_path, (1, 0), (2, 0))

    def refuse(path, *args, **kwargs):
        if str(path).endswith('tar-2'):
            raise OSError(number, os.strerror(number), str(path))
        return real(path, *args, **kwargs)

    real = builtins.open
    monkeypatch.setattr(builtins, 'open', refuse)
    with pytest.raises(UserError, match=f'model.pth.tar-2(: {os.strerror(number)}|$)'):
        resume.find('auto', folder)


def test_an_error_in_the_middle_of_a_file_is_not_damage(tmp_path, monkeypatch):
    """torch tells no error of the disk from a damaged archive."""
    folder = make(tmp_path, (1, 0), (2, 0))
    real = builtins.open

    class Failing:
        def __init__(self, file):
            self.file = file

        def __getattr__(self, name):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def read(self, *_):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        readinto = read

    def failing(path, *args, **kwargs):
        file = real(path, *args, **kwargs)
        return Failing(file) if str(path).endswith('tar-2') else file

    monkeypatch.setattr(builtins, 'open', failing)
    with pytest.raises(UserError, match='cannot read .*tar-2: Input/output error'):
        folder.read_newest()


@pytest.mark.parametrize('error', [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_no_memory_is_not_damage(tmp_path, monkeypatch, error):
    folder = make(tmp_path, (1, 0), (2, 0))
    monkeypatch.setattr(torch, 'load', lambda *_, **__: (_ for _ in ()).throw(error))
    with pytest.raises(UserError, match='not enough memory to read .*tar-2'):
        folder.read_newest()


def test_a_folder_that_cannot_be_listed_is_not_empty(tmp_path, monkeypatch):
    folder = make(tmp_path, (1, 0))
    monkeypatch.setattr(os, 'listdir', lambda _: (_ for _ in ()).throw(PermissionError(errno.EACCES, 'refused')))
    with pytest.raises(UserError, match='cannot read the folder .*model: refused'):
        resume.find('auto', folder)


def test_a_file_that_goes_while_it_is_read_is_passed_over(tmp_path, monkeypatch):
    """The run that saves meanwhile removes what it no longer keeps: the new listing counts."""
    folder = make(tmp_path, (1, 0), (2, 0))
    saving = iter([3, 4, 5, 6])

    def read(path):
        for epoch in saving:
            make(tmp_path, (epoch, 0), keep=1)
            break
        return read_checkpoint(path)

    monkeypatch.setattr(folder_module, 'read_checkpoint', read)
    assert folder.read_newest() == (folder.path / 'model.pth.tar-6', {'epoch': 6, 'summaries': []})


def test_a_kept_model_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    folder = make(tmp_path, (1, 0))

    def full(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(folder_module, 'link_or_copy', full)
    with pytest.raises(UserError, match=r'^cannot write .*kept\.pth\.tar: No space left on device$'):
        folder.keep_as_best(1)
