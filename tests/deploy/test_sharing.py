"""Weights to be given away: what is in the file, who reads it, equal to the bit, and what is refused."""

import json
import struct
import sys

import pytest
import torch
import torchreid
from safetensors import safe_open
from safetensors.torch import save_file

from paul_plugin import load_weights
from paul_plugin.checkpoints.weights import load_host_weights
from paul_plugin.checkpoints.weights_file import WeightsFile
from paul_plugin.commands import command, train
from paul_plugin.commands import export as tool
from paul_plugin.deploy.fingerprint import fingerprint
from paul_plugin.deploy.pca import reduce_dimension
from paul_plugin.deploy.sharing import KEYS, export_weights
from paul_plugin.run.trained import open_trained
from paul_plugin.runtime.errors import UserError


@pytest.fixture(scope='module')
def file(trained, tmp_path_factory):
    return export_weights(trained, tmp_path_factory.mktemp('shared') / 'new/weights.safetensors').path


def test_it_holds_the_weights_and_how_to_build_and_nothing_of_people(trained, file):
    assert [path.name for path in file.parent.iterdir()] == ['weights.safetensors']
    with safe_open(file, 'pt') as found:
        texts, names = found.metadata(), set(found.keys())
        for name in names:
            assert found.get_tensor(name).equal(trained.model.state_dict()[name]), name
    assert trained.model.state_dict().keys() - names == {
        f'classifier.{patch}.{part}' for patch in range(6) for part in ('weight', 'bias')
    }
    assert texts.keys() == {'format', 'config', 'metadata', 'adapted'}
    assert texts['adapted'] == 'True'  # its checkpoint holds a memory bank
    assert json.loads(texts['metadata'])['mean'] == trained.cfg.data.norm_mean
    assert str(trained.cfg.data.root) not in str(texts)
    assert file.stat().st_size < 1.1 * sum(trained.model.state_dict()[name].nbytes for name in names)


def test_it_is_read_back_equal_to_the_bit(trained, file, tmp_path):
    again = open_trained(file)
    images = torch.randn(3, 3, 96, 48)
    with torch.no_grad():
        assert again.model(images).equal(trained.model(images))
    assert fingerprint(again) == fingerprint(trained)
    for key in KEYS:
        group, name = key.split('.')
        assert again.cfg[group][name] == trained.cfg[group][name], key
    with pytest.raises(UserError, match='holds no memory bank'):
        again.memory()
    second = export_weights(again, tmp_path / 'second.safetensors').path  # what is given on is the same
    with safe_open(file, 'pt') as one, safe_open(second, 'pt') as two:
        assert one.keys() == two.keys()
        assert one.metadata()['config'] == two.metadata()['config']
        assert two.metadata()['adapted'] == 'True'


def test_the_same_weights_give_the_same_bytes(trained, file, tmp_path):
    for number in range(4):
        again = export_weights(trained, tmp_path / f'{number}.safetensors').path
        assert again.read_bytes() == file.read_bytes()


def test_a_run_and_load_weights_read_it(trained, file, capsys):
    model = torchreid.models.build_model('paul_osnet_x0_25', pretrained=False, loss='paul', dim=16)
    done = load_weights(model, file)
    assert (done.kind, done.adapted, done.left) == ('paul', True, [])
    assert {name.split('.')[0] for name in done.missing} == {'classifier'}
    assert all(model.state_dict()[name].equal(trained.model.state_dict()[name]) for name in done.loaded)
    words = ['--config-file', 'configs/paul_synthetic.yaml', 'use_gpu', 'False', 'model.load_weights', str(file)]
    cfg = train.config_of(train.parse([*words, 'data.width', '64']))
    assert (cfg.paul.feature_dim, cfg.data.height, cfg.data.width) == (16, 96, 64)
    assert f'warning: {file} was trained on images of another size: data.width 48' in capsys.readouterr().out


def test_random_heads_are_left_out(trained, tmp_path):
    """A file without them makes a model whose heads are random."""
    state = {key: value for key, value in trained.model.state_dict().items() if not key.startswith('embedding')}
    torch.save({'state_dict': state}, tmp_path / 'bare.pth')
    file = export_weights(open_trained(tmp_path / 'bare.pth', 96, 48), tmp_path / 'a.safetensors').path
    with safe_open(file, 'pt') as found:
        assert not [name for name in found.keys() if name.startswith(('embedding', 'classifier'))]  # noqa: SIM118
        assert found.metadata()['adapted'] == 'False'


def test_tool(trained, tmp_path, capsys):
    target = tmp_path / 'weights.safetensors'
    words = [str(trained.path), str(target)]
    command.main(tool, words)
    assert capsys.readouterr().out.startswith(f'{target}: 623 tensors, 2.5 MB, read back equal to the bit; without')
    for more, message in (
        ([], 'exists: give another name, or --force'),
        (['--force', '--half'], '--half is not for .*weights.safetensors, which holds weights as they are'),
        (['--force', '--dim', '8'], '--dim is not for'),
        (['--force', '--opset', '18'], '--opset is not for'),
    ):
        with pytest.raises(UserError, match=message):
            tool.run(tool.parse(words + more))


def test_refuses(trained, tmp_path, monkeypatch):
    with pytest.raises(UserError, match='must end in .safetensors'):
        export_weights(trained, tmp_path / 'weights.pth')
    with pytest.raises(UserError, match='leave --dim and --camera out'):
        export_weights(reduce_dimension(trained, 8), tmp_path / 'weights.safetensors')
    other = {'state_dict': {'a': torch.ones(1)}}
    monkeypatch.setattr('paul_plugin.checkpoints.weights_file.read_checkpoint', lambda path: other)
    with pytest.raises(UserError, match='no file was written to .*: it is not read back as it was written'):
        export_weights(trained, tmp_path / 'weights.safetensors')
    assert list(tmp_path.iterdir()) == []


def damaged(whole):
    """Name -> bytes."""
    length = struct.unpack('<Q', whole[:8])[0]
    header = json.loads(whole[8 : 8 + length])

    def with_header(text):
        return struct.pack('<Q', len(text)) + text + whole[8 + length :]

    first = next(name for name in header if name.startswith('backbone'))
    changed = {**header, first: {**header[first], 'data_offsets': [0, len(whole) - 8 - length + 1]}}
    return {
        'empty': b'',
        'cut in its header': whole[:1000],
        'cut at the last byte': whole[:-1],
        'a byte too long': whole + b'0',
        'a header that is too long': struct.pack('<Q', len(whole) - 8 + 1) + whole[8:],
        'a header that is no JSON': with_header(b'{"' + b'x' * 50),
        'a tensor beyond the file': with_header(json.dumps(changed).encode()),
        'text': b'no weights at all',
    }


def test_damaged_files_are_refused_in_one_line(file, tmp_path):
    path = tmp_path / 'bad.safetensors'
    for name, content in damaged(file.read_bytes()).items():
        path.write_bytes(content)
        with pytest.raises(UserError, match=r'is damaged or no weight file \(.*\): get it again') as error:
            open_trained(path)
        assert str(error.value).startswith(str(path)), name
        assert '\n' not in str(error.value), name
    with pytest.raises(UserError, match='no weight file at'):
        open_trained(tmp_path / 'none.safetensors')


def test_foreign_files_are_refused_in_one_line(tmp_path):
    """Whatever the name; and one with a configuration that is none."""
    for name, state, texts, words in (
        ('a.safetensors', {'layer.weight': torch.ones(2)}, {}, 'holds no PatchNet, nor one of the backbones'),
        ('a.pth', {'layer.weight': torch.ones(2)}, {}, 'holds no PatchNet, nor one of the backbones'),
        ('b.safetensors', {}, {}, 'is damaged or no weight file'),
        ('c.safetensors', {'a': torch.full((2,), torch.nan)}, {}, 'holds weights that are not finite'),
        ('d.safetensors', {'a': torch.ones(2)}, {'config': '{'}, 'is damaged: its configuration cannot be read'),
    ):
        save_file(state, tmp_path / name, metadata=texts)
        with pytest.raises(UserError, match=words) as error:
            open_trained(tmp_path / name)
        assert '\n' not in str(error.value), name


def test_a_file_of_torchreid_weights_is_one_too(tmp_path, capsys):
    """For our models, and for torchreid's own."""
    source = torchreid.models.build_model('osnet_x0_25', 7, pretrained=False)
    save_file(source.state_dict(), tmp_path / 'tracker.safetensors')
    found = open_trained(tmp_path / 'tracker.safetensors')
    assert (found.cfg.model.name, found.cfg.data.height) == ('paul_osnet_x0_25', 256)
    assert found.model.backbone.conv1.conv.weight.equal(source.conv1.conv.weight)
    own = torchreid.models.build_model('osnet_x0_25', 5, pretrained=False)
    load_host_weights(own, WeightsFile(tmp_path / 'tracker.safetensors'))
    assert own.fc[0].weight.equal(source.fc[0].weight)
    assert 'left in the file: classifier.bias, classifier.weight' in capsys.readouterr().out


def test_without_the_package(file, monkeypatch):
    monkeypatch.setitem(sys.modules, 'safetensors', None)
    with pytest.raises(UserError, match='^the package safetensors is not there: pip install safetensors$'):
        open_trained(file)
