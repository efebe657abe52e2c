"""What a run takes from the file of model.load_weights, and what it refuses, in torchreid's files and in ours."""

import pytest
import torch
import torchreid

from paul_plugin.commands import train
from paul_plugin.config.keys import get_default_config
from paul_plugin.runtime.errors import UserError

SYNTHETIC = 'configs/paul_synthetic.yaml'  # paul_osnet_x0_25, images of 96 x 48
KEYS = ('name', 'num_patches', 'feature_dim', 'height', 'width')


@pytest.fixture
def write(tmp_path):
    """Writes a file of weights: of a model, with the configuration of its run or without."""

    def write(name, size=None, **options):
        model = torchreid.models.build_model(name, num_classes=3, pretrained=False, **options)
        checkpoint = {'state_dict': {f'module.{key}': value for key, value in model.state_dict().items()}}
        if size:
            cfg = get_default_config()
            cfg.model.name = name
            cfg.data.height, cfg.data.width = size
            checkpoint['config'] = cfg.dump()
        torch.save(checkpoint, tmp_path / 'weights.pth')
        return str(tmp_path / 'weights.pth')

    return write


def load(*words, file=SYNTHETIC):
    cfg = train.config_of(train.parse(['--config-file', file, 'use_gpu', 'False', *map(str, words)]))
    return cfg.model.name, cfg.paul.num_patches, cfg.paul.feature_dim, cfg.data.height, cfg.data.width


def test_a_patchnet_of_a_run(write, capsys):
    path = write('paul_mobilenetv2_x1_0', (128, 64), loss='paul', num_patches=3, dim=8)
    assert load('model.load_weights', path) == ('paul_mobilenetv2_x1_0', 3, 8, 128, 64)
    line = (
        f'taken from {path}, as the command line does not name them: model.name paul_mobilenetv2_x1_0, '
        'paul.num_patches 3, paul.feature_dim 8, data.height 128, data.width 64\n'
    )
    assert capsys.readouterr().out == line
    assert load('model.load_weights', path, 'data.width', 48) == ('paul_mobilenetv2_x1_0', 3, 8, 128, 48)
    assert capsys.readouterr().out.endswith(f'warning: {path} was trained on images of another size: data.width 64\n')
    refused = 'the weights of another model, paul_mobilenetv2_x1_0: set model.name paul_mobilenetv2_x1_0, or name'
    with pytest.raises(UserError, match=f'{refused} .*; its images have data.height 128, data.width 64'):
        load('model.load_weights', path, 'model.name', 'paul_resnet18')


def test_a_patchnet_alone_tells_no_size(write, capsys):
    path = write('paul_resnet18', loss='paul', num_patches=6, dim=16)
    assert load('model.load_weights', path) == ('paul_resnet18', 6, 16, 96, 48)
    assert 'data.' not in capsys.readouterr().out


def test_what_fits_is_taken_without_a_word(write, capsys):
    path = write('paul_osnet_x0_25', (96, 48), loss='paul')
    assert load('model.load_weights', path) == ('paul_osnet_x0_25', 6, 256, 96, 48)
    assert capsys.readouterr().out == ''


def test_a_config_file_that_names_weights_names_its_model(write, tmp_path):
    path = write('paul_resnet18', (128, 64), loss='paul')
    file = tmp_path / 'own.yaml'
    file.write_text(
        f'model: {{name: paul_osnet_x0_25, load_weights: "{path}"}}\nloss: {{name: paul}}\n'
        'data: {height: 96, transforms: [surrogate_positive]}\n'
    )
    with pytest.raises(UserError, match='another model, paul_resnet18'):
        load(file=str(file))
    assert load('model.name', 'paul_resnet18', file=str(file)) == ('paul_resnet18', 6, 256, 96, 64)


def test_a_model_of_torchreid(write):
    """Of a run of this project it tells its configuration; torchreid's own files do not."""
    assert load('model.load_weights', write('resnet18', (128, 64))) == ('paul_resnet18', 6, 256, 128, 64)
    path = write('resnet18')
    words = r'another model, paul_resnet18: set model.name paul_resnet18, .* give data.height and data.width, torchreid'
    for named in ((), ('model.name', 'paul')):
        with pytest.raises(UserError, match=words) as error:
            load('model.load_weights', path, *named)
        assert '\n' not in str(error.value)
    assert load('model.load_weights', path, 'model.name', 'paul_resnet18')[0] == 'paul_resnet18'


def test_a_relative_that_the_user_names(write):
    """Such as the same OSNet with another normalisation in its first layer, of which load_weights takes most."""
    path = write('osnet_x1_0', (128, 64))
    assert load('model.load_weights', path, 'model.name', 'paul_osnet_ibn_x1_0')[0] == 'paul_osnet_ibn_x1_0'


def test_other_files_and_runs_are_left_to_others(write, tmp_path):
    bad = tmp_path / 'bad.pth'
    bad.write_bytes(b'no weights')
    foreign = tmp_path / 'foreign.pth'
    torch.save({'layer.weight': torch.zeros(3)}, foreign)
    for path in (bad, foreign, tmp_path, tmp_path / 'none.pth', 'paul_msmt17_release'):
        assert load('model.load_weights', path) == ('paul_osnet_x0_25', 6, 256, 96, 48)
    path = write('resnet18', (128, 64))
    assert load('model.load_weights', path, file='configs/pretrain_synthetic.yaml')[0] == 'paul_osnet_x0_25'
