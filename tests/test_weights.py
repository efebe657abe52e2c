"""Weight files: three kinds that are read, and foreign, damaged or hostile ones that are refused."""

import os
import pickle

import numpy as np
import pytest
import torch
import torchreid
from PIL import Image
from reference_numbers import release_state

from paul_plugin import host, load_weights
from paul_plugin.errors import UserError
from paul_plugin.weights import to_release


def build(name='paul_osnet_x0_25', **options):
    return torchreid.models.build_model(name, pretrained=False, **{'loss': 'paul', 'dim': 16, **options})


@pytest.fixture(scope='module')
def release_file(tmp_path_factory):
    """A file as the release saved it: a DataParallel state dict under `state_dict`."""
    path = tmp_path_factory.mktemp('release') / 'checkpoint.pth'
    torch.save({'state_dict': release_state(), 'epoch': 60, 'acc': np.float64(0.5)}, path)
    return path


def test_release(release_file):
    model = build('paul', dim=256, num_classes=11)
    result = load_weights(model, release_file)
    assert result.kind == 'release'
    assert len(result.loaded) == 395
    assert result.left == result.missing == []
    back = to_release(model.state_dict())
    assert back.keys() == release_state().keys()
    assert all(back[key].equal(value) for key, value in release_state().items())


def test_classifier_of_another_size_is_left_by_name(release_file):
    result = load_weights(build('paul', dim=256, num_classes=5), release_file)
    assert sorted(result.left) == sorted(f'classifier.{m}.{part}' for m in range(6) for part in ('weight', 'bias'))
    assert sorted(result.missing) == sorted(result.left)


def test_own_checkpoint(make_engine, tmp_path):
    engine = make_engine()
    engine.save_model(0, np.float64(0.5), str(tmp_path))
    model = build()
    result = load_weights(model, tmp_path / 'model' / 'model.pth.tar-1')
    assert (result.kind, result.left, result.missing) == ('paul', [], [])
    assert all(a.equal(b) for a, b in zip(model.state_dict().values(), engine.model.state_dict().values(), strict=True))


def test_torchreid_checkpoint_fits_the_backbone(tmp_path):
    """torchreid's own checkpoint of its own model, with the NumPy scalar that torch.load refuses."""
    source = torchreid.models.build_model('osnet_x0_25', 7, pretrained=False)
    torchreid.utils.save_checkpoint(
        {'state_dict': source.state_dict(), 'epoch': 3, 'rank1': np.float64(0.5)}, str(tmp_path)
    )
    model = build()
    result = load_weights(model, tmp_path / 'model.pth.tar-3')
    assert result.kind == 'torchreid'
    assert all(key.startswith('backbone.') for key in result.loaded)
    assert model.backbone.conv1.conv.weight.equal(source.conv1.conv.weight)
    assert 'backbone.classifier.weight' in result.left


class Command:
    """A pickle that would make a folder when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def whole_checkpoint(tmp_path, **options):
    path = tmp_path / 'whole.pth'
    torch.save({'state_dict': build(**options).state_dict()}, path)
    return path.read_bytes()


def bad_files(tmp_path, dim=16):
    """Name -> (the bytes of a damaged, foreign or hostile file, or an object to save; words of its error)."""
    whole = whole_checkpoint(tmp_path, dim=dim)
    picture = tmp_path / 'picture.png'
    Image.new('RGB', (8, 8)).save(picture)
    model = build(dim=dim).state_dict()
    other_size = {key: torch.zeros(3) if key == 'branches.0.norm.weight' else value for key, value in model.items()}
    return {
        'zero bytes': (b'', 'damaged or no weight file'),
        'cut at 1 byte': (whole[:1], 'no weight file'),
        'cut at 1000 bytes': (whole[:1000], 'no weight file'),
        'cut at half': (whole[: len(whole) // 2], 'no weight file'),
        'cut at the last byte': (whole[:-1], 'no weight file'),
        'a picture': (picture.read_bytes(), 'no weight file'),
        'text': (b'state_dict: none\n' * 50, 'no weight file'),
        'a pickle that runs a command': (pickle.dumps(Command(tmp_path / 'executed')), 'nothing was executed'),
        'a checkpoint that runs a command': ({'state_dict': Command(tmp_path / 'executed')}, 'nothing was executed'),
        'another model': (
            {'state_dict': torchreid.models.build_model('mobilenetv2_x1_0', 3, pretrained=False).state_dict()},
            'another model',
        ),
        'a dictionary of strings': ({'state_dict': {'backbone.conv1.conv.weight': 'w'}}, 'holds no weights'),
        'an empty dictionary': ({}, 'holds no weights'),
        'a list': ([torch.zeros(3)], 'holds a list'),
        'a tensor': (torch.zeros(3), 'holds a Tensor'),
        'another shape': (other_size, rf'branches.0.norm.weight is \(3,\), the model has \({dim},\)'),
        'another number of patches': (build(num_patches=4, dim=dim).state_dict(), 'does not fit'),
    }


def test_bad_files_are_refused_in_one_line_and_change_nothing(tmp_path):
    model = build()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for name, (content, words) in bad_files(tmp_path).items():
        path = tmp_path / 'bad.pth'
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        with pytest.raises(UserError, match=words) as error:
            load_weights(model, path)
        assert '\n' not in str(error.value), name
        assert str(path) in str(error.value), name
        assert not (tmp_path / 'executed').exists(), name
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(('name', 'words'), [('nowhere.pth', 'no weight file at'), ('.', 'is a folder')])
def test_missing_file_and_folder(tmp_path, name, words):
    with pytest.raises(UserError, match=words):
        load_weights(build(), tmp_path / name)


def test_host_reads_a_plain_number(make_engine, tmp_path):
    """torchreid's own resume and load functions on torch >= 2.6."""
    engine = make_engine()
    engine.save_model(0, np.float64(0.5), str(tmp_path), is_best=True)
    for name in ('model.pth.tar-1', 'model-best.pth.tar'):
        assert torchreid.utils.load_checkpoint(str(tmp_path / 'model' / name))['rank1'] == 0.5
    model = build()
    torchreid.utils.load_pretrained_weights(model, str(tmp_path / 'model' / 'model.pth.tar-1'))
    assert model.state_dict()['branches.0.norm.weight'].equal(host.unwrap(engine.model).branches[0].norm.weight)
