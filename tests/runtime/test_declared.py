"""Files of torch's that declare more than they hold are refused in one line, before torch reads them."""

import io
import zipfile

import numpy as np
import pytest
import torch

from paul_plugin.checkpoints.weights import read_checkpoint, state_of
from paul_plugin.runtime.errors import UserError
from paul_plugin.runtime.files import read_saved


def declaring(more: int) -> bytes:
    """A checkpoint whose archive declares so many bytes more than the file has; its content is whole."""
    file = io.BytesIO()
    torch.save({'weight': torch.ones(3)}, file)
    for _ in range(2):  # the directory's length stays, so the second time the size is known
        whole = file.getvalue()
        with zipfile.ZipFile(file, 'a') as archive:
            entry = archive.getinfo('archive/data/0')
            entry.file_size += len(whole) + more - sum(other.file_size for other in archive.infolist())
            archive._didModify = True
    assert len(file.getvalue()) == len(whole)
    return file.getvalue()


def test_one_byte_more_than_the_file_has(tmp_path, monkeypatch):
    (tmp_path / 'whole').write_bytes(declaring(0))
    (tmp_path / 'more').write_bytes(declaring(1))
    size = (tmp_path / 'more').stat().st_size
    asked = []
    monkeypatch.setattr(torch, 'load', lambda path, **_: asked.append(path))
    read_saved(tmp_path / 'whole')
    with pytest.raises(UserError, match=f'could fill the memory, it declares entries of {size + 1} bytes in a file of'):
        read_saved(tmp_path / 'more')
    assert asked == [tmp_path / 'whole']


def test_compressed_entries_declare_more_than_the_file_has(tmp_path):
    torch.save({'weight': torch.zeros(1000)}, tmp_path / 'saved')
    with zipfile.ZipFile(tmp_path / 'saved') as source, zipfile.ZipFile(tmp_path / 'small', 'w') as target:
        for name in source.namelist():
            target.writestr(name, source.read(name), zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match='could fill the memory'):
        read_saved(tmp_path / 'small')


def test_a_number_that_is_shown_twice(tmp_path):
    """What a tensor takes when it is computed with is then more than the file has."""
    torch.save({'weight': torch.ones(1).expand(2)}, tmp_path / 'saved')
    with pytest.raises(UserError, match='weight as a kind of tensor that no training saves'):
        state_of(read_checkpoint(tmp_path / 'saved'), tmp_path / 'saved')


@pytest.mark.parametrize('legacy', [False, True])
def test_what_runs_save_is_read(tmp_path, legacy):
    """Scalars of NumPy's among it."""
    state = {'rank1': np.float64(0.5), 'loss': np.float32(2), 'weight': torch.ones(3), 'name': 'a hexagon'}
    torch.save(state, tmp_path / 'saved', _use_new_zipfile_serialization=not legacy)
    found = read_saved(tmp_path / 'saved')
    assert found.pop('weight').equal(state.pop('weight'))
    assert found == state
    assert type(found['loss']) is np.float32


def test_torchscript_is_refused_unread(tmp_path):
    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(tmp_path / 'model.pt')
    with pytest.raises(UserError, match='a TorchScript program'):
        read_saved(tmp_path / 'model.pt')
