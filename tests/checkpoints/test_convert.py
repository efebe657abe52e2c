"""tools/convert_checkpoint.py: the release's files into torchreid's and back, nothing lost; and what it refuses."""

import numpy as np
import pytest
import torch
import torchreid

from paul_plugin.checkpoints.weights_file import to_release
from paul_plugin.commands import command
from paul_plugin.commands import convert as tool


def build(name='paul_osnet_x0_25', **options):
    return torchreid.models.build_model(name, pretrained=False, **{'num_classes': 5, 'loss': 'paul', **options})


def train_a_little(model):
    """Random numbers instead of the zeros and ones that layers start from."""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor) / 10)
    return model


def descriptors(model, path=None):
    """Of random images, always the same; with the weights that torchreid itself reads from a file."""
    if path:
        torchreid.utils.load_pretrained_weights(model, str(path))
    images = torch.randn(2, 3, 96, 48, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        return model.eval()(images)


def read(path):
    return torch.load(path, weights_only=True)['state_dict']


def assert_same(state, other):
    assert state.keys() == other.keys()
    for key, value in state.items():
        assert value.dtype == other[key].dtype, key
        assert value.equal(other[key]), key


@pytest.fixture
def run(called):
    return lambda *words: called(lambda given: command.main(tool, given), [str(word) for word in words])


@pytest.mark.parametrize('shape', [{}, {'num_patches': 11, 'num_classes': 1, 'dim': 16}])
def test_there_and_back(run, tmp_path, shape):
    """Whatever the number of patches (one of two digits as well), classes and features."""
    model = train_a_little(build(**shape))
    released = to_release(model.state_dict())
    first, ours, back = (tmp_path / name for name in ('first.pth', 'ours.pth', 'back.pth'))
    # With a NumPy scalar beside the weights, which torchreid cannot read since torch 2.6.
    torch.save({'state_dict': released, 'epoch': 60, 'acc': np.float64(0.5)}, first)

    status, out, err = run(first, ours)
    assert (status, err) == (0, '')
    assert out.splitlines() == [
        f'{first}: {len(released)} tensors in the format of release, written to {ours} in that of torchreid'
    ]
    assert_same(read(ours), model.state_dict())
    status, out, err = run(ours, back)
    assert (status, err) == (0, '')
    assert len(out.splitlines()) == 1
    assert_same(read(back), released)
    assert sorted(tmp_path.iterdir()) == [back, first, ours]  # nothing temporary

    expected = descriptors(model)
    out = descriptors(build(**shape), ours)
    assert out.equal(expected)


def test_a_state_dict_alone_and_a_wrapped_model_of_ours(run, tmp_path):
    model = train_a_little(build())
    bare, wrapped, target = (tmp_path / name for name in ('bare.pth', 'wrapped.pth', 'target.pth'))
    torch.save(model.state_dict(), bare)
    torch.save({'state_dict': torch.nn.DataParallel(model).state_dict()}, wrapped)
    for source in (bare, wrapped):
        assert run(source, target, '--force')[0] == 0
        assert_same(read(target), to_release(model.state_dict()))


def test_force_and_to(run, tmp_path):
    model = train_a_little(build())
    first, target = tmp_path / 'first.pth', tmp_path / 'new folder/target.pth'
    torch.save({'state_dict': to_release(model.state_dict())}, first)
    assert run(first, target, '--to', 'torchreid')[0] == 0
    target.write_bytes(b'something else')
    status, _, err = run(first, target)
    assert status == 2
    assert '--force' in err
    assert target.read_bytes() == b'something else'
    assert run(first, target, '--force')[0] == 0
    assert_same(read(target), model.state_dict())
    assert run(first, first, '--force')[0] == 0  # in place
    assert_same(read(first), model.state_dict())


def refused(tmp_path):
    """Name -> (what FROM holds, further words of the command line, words of the error)."""
    ours = build(dim=16).state_dict()
    fixed = build(dim=16, patch_source='stripe').state_dict()
    foreign = torchreid.models.build_model('osnet_x0_25', 3, pretrained=False).state_dict()
    return {
        'ours to ours': ({'state_dict': ours}, ['--to', 'torchreid'], 'in the format of torchreid already'),
        'release to release': (
            {'state_dict': to_release(ours)},
            ['--to', 'release'],
            'in the format of release already',
        ),
        'fixed patches': ({'state_dict': fixed}, [], 'holds fixed patches (pgn.theta'),
        'fixed patches to ours': ({'state_dict': fixed}, ['--to', 'torchreid'], 'holds fixed patches (pgn.theta'),
        'another model': ({'state_dict': foreign}, [], 'weights of another model than PatchNet: no pgn'),
        'another model with a backbone': (
            {'state_dict': {'backbone.conv1.weight': torch.zeros(3), 'head.weight': torch.zeros(3)}},
            ['--to', 'release'],
            'weights of another model than PatchNet: no pgn and no branches in it',
        ),
        'no weights': ({'epoch': 3}, [], 'holds no weights'),
        'text': (b'state_dict: none\n' * 50, [], 'no weight file'),
    }


def assert_refused(result, words):
    status, out, err = result
    assert (status, out) == (2, '')
    (line,) = err.splitlines()
    assert line.startswith('error: ')
    assert words in line


def test_refuses_in_one_line_and_writes_nothing(run, tmp_path):
    source, target = tmp_path / 'source.pth', tmp_path / 'target.pth'
    for content, options, words in refused(tmp_path).values():
        if isinstance(content, bytes):
            source.write_bytes(content)
        else:
            torch.save(content, source)
        assert_refused(run(source, target, *options), words)
        assert list(tmp_path.iterdir()) == [source]
    assert_refused(run(tmp_path / 'nowhere.pth', target), f'no weight file at {tmp_path / "nowhere.pth"}')
    assert_refused(run(source, tmp_path, '--force'), f'{tmp_path} is a folder')
    torch.save({'state_dict': build(dim=16).state_dict()}, source)
    assert_refused(run(source, source / 'target.pth'), f'cannot write {source / "target.pth"}: ')
    assert list(tmp_path.iterdir()) == [source]


def test_a_full_disk_leaves_what_was_there(run, tmp_path, monkeypatch):
    source, target = tmp_path / 'source.pth', tmp_path / 'target.pth'
    torch.save({'state_dict': build(dim=16).state_dict()}, source)
    target.write_bytes(b'something else')

    def full(state, file):
        file.write(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(torch, 'save', full)
    assert_refused(run(source, target, '--force'), f'cannot write {target}: No space left on device')
    assert target.read_bytes() == b'something else'
    assert sorted(tmp_path.iterdir()) == [source, target]
