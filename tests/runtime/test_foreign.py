"""Files of models that are no checkpoints."""

import zipfile

import pytest
import torch
from torch import nn

from paul_plugin.runtime.errors import UserError
from paul_plugin.runtime.files import read_saved
from paul_plugin.runtime.foreign import kind_of

EXPORTED = 'an exported model: name the checkpoint that it was exported from'


def torchscript(path):
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2).eval(), torch.ones(1, 2)), path)


def program(path):
    torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.ones(1, 2),)), str(path))


def onnx(path):
    """The version of the format (10), and who wrote it."""
    path.write_bytes(b'\x08\n\x12\x07pytorch\x1a\x052.1.0:\x00')


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize(
    ('write', 'words'),
    [
        (torchscript, f'is a TorchScript program, {EXPORTED}'),
        (program, f'is a file of torch.export, {EXPORTED}'),
        (onnx, f'is an ONNX file, {EXPORTED}'),
    ],
)
def test_a_file_of_another_kind_is_called_what_it_is(write, words, tmp_path, recwarn):
    path = tmp_path / 'weights.pth'  # the name says nothing
    write(path)
    recwarn.clear()
    with pytest.raises(UserError) as error:
        read_saved(path)
    assert str(error.value) == f'{path} {words}'
    assert not recwarn.list  # torch's own would stand beside the one line


def test_others_are_not(tmp_path):
    path = tmp_path / 'file'
    for content in (b'', b'PK', b'PK\x03\x04cut', b'{"a": 1}', b'\x08\x0a', bytes(8) + b'{"', b'\x99' * 8 + b'{"a'):
        path.write_bytes(content)
        assert kind_of(path) == ''
    torch.save({'code': torch.ones(2), 'constants.pkl': 1}, path)
    assert kind_of(path) == ''
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', b'')
    assert kind_of(path) == ''
