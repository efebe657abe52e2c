"""Files of weights, read as data: torch's, those that declare more than they hold, and exported models."""

import io
import os
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.checkpoints.weights_file import WeightsFile
from paul_plugin.runtime.errors import UserError


def torchscript(path):
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2).eval(), torch.ones(1, 2)), path)


def program(path):
    torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.ones(1, 2),)), str(path))


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize(
    ('write', 'words'), [(torchscript, 'a TorchScript program'), (program, 'a file of torch.export')]
)
def test_an_exported_model_is_called_what_it_is(write, words, tmp_path, recwarn):
    path = tmp_path / 'weights.pth'  # the name says nothing
    write(path)
    recwarn.clear()
    with pytest.raises(UserError) as error:
        read_checkpoint(path)
    assert str(error.value) == f'{path} is {words}, an exported model: name the checkpoint that it was exported from'
    assert not recwarn.list  # torch's own would stand beside the one line


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
    monkeypatch.setattr(torch, 'load', lambda file, **_: asked.append(file.name) or {})
    read_checkpoint(tmp_path / 'whole')
    with pytest.raises(UserError, match=f'could fill the memory, it declares entries of {size + 1} bytes in a file of'):
        read_checkpoint(tmp_path / 'more')
    assert asked == [str(tmp_path / 'whole')]


def test_a_number_that_is_shown_twice(tmp_path):
    """What a tensor takes when it is computed with is then more than the file has."""
    torch.save({'weight': torch.ones(1).expand(2)}, tmp_path / 'saved')
    with pytest.raises(UserError, match='weight as a kind of tensor that no training saves'):
        WeightsFile(tmp_path / 'saved').state  # noqa: B018


@pytest.mark.parametrize('legacy', [False, True])
def test_what_runs_save_is_read(tmp_path, legacy):
    """Scalars of NumPy's among it."""
    state = {'rank1': np.float64(0.5), 'loss': np.float32(2), 'weight': torch.ones(3), 'name': 'a hexagon'}
    torch.save(state, tmp_path / 'saved', _use_new_zipfile_serialization=not legacy)
    found = read_checkpoint(tmp_path / 'saved')
    assert found.pop('weight').equal(state.pop('weight'))
    assert found == state
    assert type(found['loss']) is np.float32


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(UserError, match='pipe is a pipe or a device, not a file: name a weight file'):
        read_checkpoint(tmp_path / 'pipe')
