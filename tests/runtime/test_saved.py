"""Files that are looked at before they are opened, and what torch has saved, read as data."""

import os

import numpy as np
import pytest
import torch

from paul_plugin.runtime.errors import UserError
from paul_plugin.runtime.files import is_special, read_saved


def test_special_files(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'file').write_bytes(b'')
    (tmp_path / 'link').symlink_to(tmp_path / 'pipe')
    (tmp_path / 'nowhere').symlink_to(tmp_path / 'none')
    special = {name: is_special(tmp_path / name) for name in ('pipe', 'link', 'file', 'nowhere', 'none', '.')}
    assert special == {'pipe': True, 'link': True, 'file': False, 'nowhere': False, 'none': False, '.': False}
    assert is_special('/dev/zero')
    assert not is_special('a\0b')


def test_what_torch_has_saved(tmp_path):
    torch.save([torch.ones(2), np.float64(0.5)], tmp_path / 'saved')
    tensor, number = read_saved(tmp_path / 'saved')
    assert (tensor.tolist(), number) == ([1, 1], 0.5)
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(UserError, match='pipe is a pipe or a device, not a file: name a weight file'):
        read_saved(tmp_path / 'pipe')  # and does not wait for a writer
