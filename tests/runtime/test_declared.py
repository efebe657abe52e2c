"""Small files that would fill the memory: refused in one line, and in little memory."""

import _codecs
import io
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

from paul_plugin.runtime.declared import numpy_scalar
from paul_plugin.runtime.errors import UserError
from paul_plugin.runtime.files import read_saved

MUCH = 800_000_000  # bytes that each of the files would take; little of them may be taken


class Call:
    """A pickle that calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def codecs_in_each_other(codec):
    """2 bytes, doubled again and again."""
    content = Call(_codecs.encode, 'ab', 'latin1')
    for _ in range(29):
        content = Call(_codecs.encode, content, codec)
    return content


def saved(content, legacy=False):
    """A file of torch's whose pickle is this, which torch.save would not write."""
    pickled = pickle.dumps(content, protocol=2)
    file = io.BytesIO()
    torch.save({}, file, _use_new_zipfile_serialization=not legacy)
    if legacy:
        return file.getvalue().replace(pickle.dumps({}, protocol=2), pickled, 1)
    return with_entries(file.getvalue(), {'data.pkl': pickled})


def with_entries(whole, replaced, compression=zipfile.ZIP_STORED):
    """A zip archive with other contents in some entries, named by their ends."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(target, 'w', compresslevel=1) as archive:
        for name in source.namelist():
            content = next((replaced[end] for end in replaced if name.endswith(end)), None)
            other = content is not None
            archive.writestr(name, content if other else source.read(name), compression if other else None)
    return target.getvalue()


def deflated():
    file = io.BytesIO()
    torch.save({'weight': torch.zeros(2, dtype=torch.uint8)}, file)
    pickled = zipfile.ZipFile(file).read('archive/data.pkl')
    number = pickled.replace(b'K\x02', b'J' + MUCH.to_bytes(4, 'little'))
    return with_entries(
        with_entries(file.getvalue(), {'data.pkl': number}), {'data/0': bytes(MUCH)}, zipfile.ZIP_DEFLATED
    )


def lying():
    """Two entries that are one another's bytes."""
    file = io.BytesIO()
    torch.save({'weight': torch.zeros(100_000)}, file)
    whole = file.getvalue()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
    place = whole.index(b'PK\x01\x02')
    target = io.BytesIO(whole[:place])
    target.seek(place)
    with zipfile.ZipFile(target, 'a') as archive:
        archive.filelist = [*entries.values(), entries['archive/data/0']]
        archive._didModify, archive.start_dir = True, place
    return target.getvalue()


def expanded():
    """One number that is shown as very many."""
    file = io.BytesIO()
    torch.save({'weight': torch.ones(1).expand(MUCH)}, file)
    return file.getvalue()


FILES = {
    'deflated': (deflated, 'compressed entries'),
    'one in another': (lying, 'bytes in a file of'),
    'bytearray': (lambda: saved({'a': Call(bytearray, MUCH)}), 'a bytearray'),
    'bytearray of old': (lambda: saved({'a': Call(bytearray, MUCH)}, legacy=True), 'a bytearray'),
    'hex': (lambda: saved({'a': codecs_in_each_other('hex')}), 'the codec hex_codec'),
    'Base 64': (lambda: saved({'a': codecs_in_each_other('-Base 64')}), 'the codec base64_codec'),
    'void': (
        lambda: saved({'a': Call(np._core.multiarray.scalar, Call(np.dtype, f'V{MUCH}', False, True))}),
        'damaged or no weight file',
    ),
    'expanded': (expanded, 'weight as a kind of tensor that no training saves'),
}
PROGRAM = """
import sys
from paul_plugin.checkpoints.weights import read_checkpoint, state_of
from paul_plugin.runtime.errors import UserError

def most():
    return next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM'))

for path in sys.argv[1:]:
    before = most()
    try:
        state_of(read_checkpoint(path), path)
    except UserError as error:
        print(most() - before, error)
    else:
        print(most() - before)
"""


def test_refused_in_little_memory(tmp_path):
    for name, (make, _) in FILES.items():
        (tmp_path / name).write_bytes(make())
        assert (tmp_path / name).stat().st_size < 5_000_000
    paths = [tmp_path / name for name in FILES]
    done = subprocess.run([sys.executable, '-c', PROGRAM, *paths], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert len(lines) == len(FILES), done.stdout + done.stderr
    for (name, (_, words)), line in zip(FILES.items(), lines, strict=True):
        kilobytes, _, said = line.partition(' ')
        assert str(tmp_path / name) in said
        assert words in said
        assert int(kilobytes) < 300_000, name


@pytest.mark.parametrize('legacy', [False, True])
def test_what_runs_save_is_read(tmp_path, legacy):
    """Scalars of NumPy's, whose bytes are text to a codec, beside a text that is a codec's name."""
    state = {'rank1': np.float64(0.5), 'loss': np.float32(2), 'weight': torch.ones(3), 'name': 'a hexagon'}
    torch.save(state, tmp_path / 'saved', _use_new_zipfile_serialization=not legacy)
    found = read_saved(tmp_path / 'saved')
    assert found.pop('weight').equal(state.pop('weight'))
    assert found == state
    assert type(found['loss']) is np.float32
    assert numpy_scalar(np.dtype('f8'), np.float64(3).tobytes()) == 3


def test_torchscript_is_refused_unread(tmp_path):
    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(tmp_path / 'model.pt')
    with pytest.raises(UserError, match='a TorchScript program'):
        read_saved(tmp_path / 'model.pt')
