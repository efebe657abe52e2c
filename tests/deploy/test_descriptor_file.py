"""A file of descriptors is mapped, not read, and read where it is compressed or of an older layout."""

import numpy as np
import pytest
import torch

from paul_plugin.deploy.descriptor_file import read_descriptors, write_descriptors
from paul_plugin.deploy.mapped import load_array

ROWS = np.random.default_rng(0).standard_normal((9, 5)).astype(np.float32)
NAMES = [f'day {place}/{place}.jpg' for place in range(9)]


@pytest.mark.parametrize('save', [None, np.savez, np.savez_compressed])
def test_any_layout_is_read(tmp_path, save):
    file = tmp_path / 'a.npz'
    write_descriptors(file, NAMES, iter([ROWS[:4], ROWS[4:]]), {'dim': 5, 'root': str(tmp_path)})
    assert isinstance(load_array(file, 'descriptors'), np.memmap)
    if save:
        with np.load(file) as arrays:
            save(tmp_path / 'b.npz', **arrays)
        file = tmp_path / 'b.npz'
    paths, descriptors = read_descriptors(file)
    assert paths == [f'{tmp_path}/{name}' for name in NAMES]
    # They are made of length 1 when they are read: earlier versions wrote longer ones.
    torch.testing.assert_close(descriptors, torch.nn.functional.normalize(torch.from_numpy(ROWS), dim=1))
