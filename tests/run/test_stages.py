"""What a run starts with and the stages that follow: decided beforehand, and without a word written into the config."""

from pathlib import Path

import pytest
import torch
from helpers.jobs import PROJECT

from paul_plugin.checkpoints.weights_file import WeightsFile
from paul_plugin.commands import run_words
from paul_plugin.config.keys import get_default_config
from paul_plugin.config.settings import with_keys
from paul_plugin.engines.base import ResumableEngine
from paul_plugin.run.build import build_engine, build_model
from paul_plugin.run.data import build_datamanager
from paul_plugin.run.stages import load_pretrained
from paul_plugin.run.start import PRETRAINED, Start, find_start, stage_config, stages_of, start_at
from paul_plugin.runtime.errors import UserError

PRETRAIN, FORGET, LOAD = 'pre-train with labels', 'remove the results of an earlier run', 'load the weights'
DIRECT, GO_ON = 'measure the weights that it starts from', 'go on from the checkpoint'
ADAPT, TEST, KEEP = 'adapt without labels', 'measure the checkpoint', 'take the model that is kept'


def config(*words):
    path = str(PROJECT / 'configs/paul_synthetic.yaml')
    return run_words.load_config(['--config-file', path, 'use_gpu', 'False', *map(str, words)])


@pytest.fixture
def saved(tmp_path):
    """A checkpoint of two epochs in the folder of a run."""

    def save(cfg, folder=tmp_path):
        path = folder / 'model/model.pth.tar-2'
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({'state_dict': {}, 'epoch': 2, 'config': cfg.dump()}, path)
        return path

    return save


@pytest.mark.parametrize(
    ('words', 'epochs', 'pretrains', 'labels', 'measured', 'expected'),
    [
        ('', None, True, True, '', [PRETRAIN, LOAD, DIRECT, ADAPT]),
        ('', None, True, False, '', [PRETRAIN, FORGET, LOAD, ADAPT]),
        ('', None, False, True, '', [LOAD, DIRECT, ADAPT]),
        ("model.load_weights ''", None, False, True, '', [DIRECT, ADAPT]),
        ("model.load_weights ''", None, False, False, '', [FORGET, ADAPT]),
        ('train.max_epoch 0', None, False, True, '', [LOAD, DIRECT, ADAPT]),
        ('train.max_epoch 0', None, False, False, '', [FORGET, LOAD]),
        ('test.evaluate True', None, False, True, '', [LOAD, DIRECT]),
        ('test.evaluate True', None, True, True, '', [PRETRAIN, LOAD, DIRECT]),
        ('', 2, False, True, 'direct_transfer', [GO_ON, ADAPT]),
        ('', 2, False, True, '', [LOAD, DIRECT, GO_ON, ADAPT]),
        ("model.load_weights ''", 2, False, True, '', [GO_ON, ADAPT]),
        ('', 2, False, False, '', [LOAD, GO_ON, ADAPT]),
        ('model.resume auto', 3, False, True, 'direct_transfer adapted', [GO_ON]),
        ('', 3, False, True, 'direct_transfer', [GO_ON, ADAPT]),  # it was killed in its last test
        ('model.resume auto', 3, False, False, '', [LOAD, GO_ON]),
        ('train.max_epoch 5', 3, False, True, 'direct_transfer adapted', [GO_ON, ADAPT]),
        ('test.evaluate True', 3, False, True, 'direct_transfer adapted', [TEST]),
        ('test.evaluate True', 1, False, True, '', [TEST]),
        ('paul.keep best', None, False, True, '', [LOAD, DIRECT, ADAPT, KEEP]),
        ('paul.keep best model.resume auto', 3, False, True, 'direct_transfer adapted', [GO_ON, KEEP]),
        ('paul.keep best model.resume auto', 3, False, True, 'direct_transfer adapted kept', [GO_ON]),
        ('paul.keep best train.max_epoch 5', 3, False, True, 'direct_transfer adapted kept', [GO_ON, ADAPT, KEEP]),
        ('paul.keep best train.max_epoch 0', None, False, True, '', [LOAD, DIRECT, ADAPT]),
        ('paul.keep best test.evaluate True', 3, False, True, '', [TEST]),
    ],
)  # fmt: skip
def test_the_stages(words, epochs, pretrains, labels, measured, expected):
    """By config, epochs done (None: from the beginning), whether weights are made, targets with labels, results."""
    words = [word.strip("'") for word in words.split()]
    cfg = config('train.max_epoch', 3, 'model.load_weights', 'weights.pth', *words)
    point = None if epochs is None else WeightsFile(Path('model.pth.tar'), {'epoch': epochs})
    start = start_at(cfg, point, Start(get_default_config()) if pretrains else None)
    assert [stage.value for stage in stages_of(start, labels, measured.split())] == expected


def test_a_checkpoint_without_a_number_of_epochs_is_left_to_the_engine():
    point = WeightsFile(Path('model.pth.tar'), {'epoch': 'two'})
    start = start_at(config(), point)
    assert GO_ON in [stage.value for stage in stages_of(start, True, ['direct_transfer', 'adapted'])]


def test_the_users_config_stays_as_it_is(tmp_path, saved, monkeypatch):
    """What a run decides stands in the config that it derives, is printed and saved."""
    save = ('data.save_dir', tmp_path)
    cfg = config(*save)
    before = cfg.dump()
    start = find_start(cfg)
    assert cfg.dump() == before
    assert start.weights == start.cfg.model.load_weights == str(tmp_path / PRETRAINED)
    assert (start.point, start.epochs, start.cfg.model.resume) == (None, 0, '')
    assert start.pretraining.cfg.dump() == stage_config(start.cfg).dump()

    (tmp_path / PRETRAINED).touch()
    assert find_start(cfg).pretraining is None

    path = saved(cfg)
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', '1')  # torchrun has started the processes again
    start = find_start(cfg)
    assert (start.point.path, start.epochs, start.cfg.model.resume) == (path, 2, 'auto')
    assert start.weights == str(tmp_path / PRETRAINED)
    assert start.pretraining is None
    (tmp_path / PRETRAINED).unlink()
    assert find_start(cfg).weights == ''
    assert cfg.dump() == before


def test_weights_are_let_go_once_the_model_has_them(make_engine, tmp_path):
    engine = make_engine()
    torch.save(engine.model.state_dict(), tmp_path / 'weights.pth')
    file = WeightsFile(tmp_path / 'weights.pth')
    assert load_pretrained(engine, with_keys(get_default_config(), {'test.evaluate': True}), file) is False
    assert vars(file) == {'path': file.path}


def test_the_pretraining_stage_goes_on_by_itself(tmp_path, saved):
    cfg = config('data.save_dir', tmp_path, 'model.resume', 'auto')
    saved(stage_config(cfg), tmp_path / 'pretrain')
    start = find_start(cfg)
    assert start.point is None
    assert (start.pretraining.point.path, start.pretraining.epochs) == (tmp_path / 'pretrain/model/model.pth.tar-2', 2)


@pytest.mark.parametrize('words', ['', 'paul.pretrain.config=', 'test.evaluate=True', 'loss.name=softmax'])
def test_named_weights_that_are_not_there(tmp_path, words):
    """A slip of a START: no pre-training may begin in its place, nor write its weights there."""
    (tmp_path / 'pretrained.pth.tar').touch()
    (tmp_path / 'notes.txt').touch()
    file = tmp_path / 'pretraind.pth.tar'
    words = words.split('=') if words else []
    with pytest.raises(UserError) as refused:
        find_start(config('data.save_dir', tmp_path / 'log', 'model.load_weights', file, *words))
    assert str(refused.value).startswith(
        f"no weight file at {file} (model.load_weights) (did you mean 'pretrained.pth.tar'?): correct the name"
    )


def test_a_folder_in_the_place_of_weights_and_no_weights_at_all(tmp_path):
    with pytest.raises(UserError, match='is a folder: name the weight file in it'):
        find_start(config('data.save_dir', tmp_path, 'model.load_weights', tmp_path))
    (tmp_path / 'model').mkdir()
    for name in ('model.pth.tar-9', 'model.pth.tar-10', 'kept.pth.tar'):
        (tmp_path / 'model' / name).touch()
        for folder in (tmp_path, tmp_path / 'model'):
            with pytest.raises(UserError, match=f'is a folder: name the weight file in it, {tmp_path}/model/{name}$'):
                find_start(config('data.save_dir', tmp_path / 'log', 'model.load_weights', folder))
    # A run does not go on from what it keeps.
    with pytest.raises(UserError, match='is a folder: name a checkpoint in it, such as .*/model/model.pth.tar-10 .mod'):
        find_start(config('data.save_dir', tmp_path / 'log', 'model.resume', tmp_path))
    with pytest.raises(UserError, match=r'no weight file at none/no.pth \(model.load_weights\): correct the name'):
        find_start(config('data.save_dir', tmp_path, 'model.load_weights', 'none/no.pth'))
    start = find_start(config('data.save_dir', tmp_path, 'paul.pretrain.config', ''), WeightsFile(''))
    assert (start.weights, start.file) == ('', None)


def test_the_stages_own_settings_stay_its_own():
    cfg = config('paul.pretrain.opts', "['paul.synthetic.train_ids', 7]")
    before = cfg.dump()
    assert stage_config(cfg).paul.synthetic.train_ids == 7
    assert cfg.dump() == before


def test_the_engine_has_the_seed_of_the_config(rendered, capsys):
    """Not the one that torch happens to have."""
    cfg = config(
        '--root', rendered, 'train.seed', 5, 'data.workers', 0, 'data.height', 96, 'data.width', 48, 'paul.k', 3,
        'train.batch_size', 8, 'paul.feature_dim', 8, 'model.name', 'paul_osnet_x0_25',
    )  # fmt: skip
    torch.manual_seed(77)
    engine = build_engine(cfg, build_datamanager(cfg), build_model(cfg, 1, pretrained=False))
    assert isinstance(engine, ResumableEngine)
    assert engine.seed == 5


@pytest.mark.parametrize('name', ['paul_synthetic', 'paul_synthetic_cameras'])
def test_the_jobs_on_both_targets_differ_by_the_data_alone(name):
    kind, hard = (
        run_words.load_config(['--config-file', str(PROJECT / f'configs/{file}.yaml'), 'use_gpu', 'False'])
        for file in (name, name.replace('synthetic', 'synthetic_hard'))
    )
    assert hard.data.sources == hard.data.targets == ['synthetic_hard']
    assert hard.data.save_dir != kind.data.save_dir
    if 'cameras' in name:  # its rate was chosen for the harder target, and it keeps the best
        assert (hard.train.lr, hard.paul.keep) == (0.003, 'best')
        hard = with_keys(hard, {'train.lr': kind.train.lr, 'paul.keep': kind.paul.keep})
    own = {f'data.{name}': kind.data[name] for name in ('sources', 'targets', 'save_dir')}
    assert with_keys(hard, own) == kind
