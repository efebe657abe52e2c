"""An array of a .npz file: mapped where it can be, read where it cannot, refused where it is damaged."""

import io
import zipfile

import numpy as np
import pytest
from helpers.bad_weights import Command as Trap
from numpy.lib import format as npy

from paul_plugin.deploy.mapped import ALIGNMENT, aligned_member, load_array

ROWS = np.random.default_rng(0).standard_normal((50, 7)).astype(np.float32)


@pytest.mark.parametrize('before', range(1, 70, 3))
def test_an_aligned_array_is_mapped(tmp_path, before):
    """Whatever lies before it; any reader of zip files reads it."""
    with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as archive:
        archive.writestr('note.txt', 'x' * before)
        with archive.open(aligned_member(archive, 'rows.npy'), 'w', force_zip64=True) as file:
            npy.write_array(file, ROWS)
    found = load_array(tmp_path / 'a.npz', 'rows')
    assert isinstance(found, np.memmap)
    assert found.offset % ALIGNMENT == 0
    assert np.array_equal(found, ROWS)
    with np.load(tmp_path / 'a.npz') as arrays:
        assert np.array_equal(arrays['rows'], ROWS)
    found[:] = 0  # its own copy
    assert np.array_equal(load_array(tmp_path / 'a.npz', 'rows'), ROWS)


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    'array', [ROWS, np.asfortranarray(ROWS), np.array(['a', 'bcd']), np.zeros((0, 4)), np.array(3), ROWS.astype('>f8')]
)
def test_what_numpy_has_written_is_read(tmp_path, save, array):
    save(tmp_path / 'a.npz', other=ROWS[0], rows=array)
    found = load_array(tmp_path / 'a.npz', 'rows')
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert np.array_equal(found, array)


def test_damage_is_found(tmp_path):
    path = tmp_path / 'a.npz'
    np.savez(path, rows=ROWS)
    with pytest.raises(KeyError):
        load_array(path, 'others')
    whole = path.read_bytes()
    for count in (0, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:count])
        with pytest.raises(zipfile.BadZipFile):
            load_array(path, 'rows')
    out = io.BytesIO()
    npy.write_array(out, ROWS)
    for content in (out.getvalue()[:-1], out.getvalue() + b'x', b'', b'no array'):
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('rows.npy', content)
        with pytest.raises((ValueError, EOFError)):
            load_array(path, 'rows')
    np.savez(path, rows=np.array([Trap(tmp_path / 'executed')], object))
    with pytest.raises(ValueError, match='no plain array'):
        load_array(path, 'rows')
    assert not (tmp_path / 'executed').exists()


def test_numbers_that_are_declared_as_objects_are_refused(tmp_path):
    """Of the right size: only their type tells."""
    out = io.BytesIO()
    npy.write_array_header_1_0(out, {'descr': '|O', 'fortran_order': False, 'shape': (3,)})
    with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as archive:
        archive.writestr('rows.npy', out.getvalue() + bytes(24))
    with pytest.raises(ValueError, match='no plain array'):
        load_array(tmp_path / 'a.npz', 'rows')
