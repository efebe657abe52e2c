"""A file of descriptors is mapped, not read, and read where it is compressed or of an older layout."""

import json

import numpy as np
import pytest
import torch

from paul_plugin.deploy.descriptor_file import read_descriptors, read_meta, write_descriptors
from paul_plugin.deploy.mapped import load_array
from paul_plugin.runtime.errors import UserError

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


def test_parts_that_do_not_go_together_are_damage(tmp_path):
    file = tmp_path / 'a.npz'
    for meta, rows, read in (
        ({'dim': 4}, ROWS, read_descriptors),
        ({}, ROWS[:8], read_descriptors),
        ({}, ROWS.astype(np.float64), read_descriptors),
        ({'dim': '5'}, ROWS, read_meta),
        ({'root': 7}, ROWS, read_meta),
    ):
        np.savez(file, meta=json.dumps({'dim': 5, 'root': str(tmp_path)} | meta), paths=NAMES, descriptors=rows)
        with pytest.raises(UserError, match='a.npz is damaged, or not written by paul extract: write it again'):
            read(file)


def test_another_suffix_is_no_file_of_descriptors(tmp_path):
    with pytest.raises(UserError, match=r'a.csv holds no descriptors: name a file that paul extract wrote, .npz or'):
        read_meta(tmp_path / 'a.csv')
