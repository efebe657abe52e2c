"""The keys, the command line, config files and the checks of the values."""

from pathlib import Path

import pytest
import yaml

from paul_plugin.config import arguments, checks, command_line, keys
from paul_plugin.config.checks import check_config
from paul_plugin.config.command_line import load_config
from paul_plugin.config.keys import all_keys, get_default_config
from paul_plugin.config.settings import merge_file, merge_opts
from paul_plugin.runtime.errors import UserError, nearest

# torchreid 1.4.0's keys and defaults.
TORCHREID = """
model: {name: resnet50, pretrained: true, load_weights: '', resume: ''}
data:
  type: image
  root: reid-data
  sources: [market1501]
  targets: [market1501]
  workers: 4
  split_id: 0
  height: 256
  width: 128
  combineall: false
  transforms: [random_flip]
  k_tfm: 1
  norm_mean: [0.485, 0.456, 0.406]
  norm_std: [0.229, 0.224, 0.225]
  save_dir: log
  load_train_targets: false
market1501: {use_500k_distractors: false}
cuhk03: {labeled_images: false, classic_split: false, use_metric_cuhk03: false}
sampler:
  train_sampler: RandomSampler
  train_sampler_t: RandomSampler
  num_instances: 4
  num_cams: 1
  num_datasets: 1
video: {seq_len: 15, sample_method: evenly, pooling_method: avg}
train:
  optim: adam
  lr: 0.0003
  weight_decay: 0.0005
  max_epoch: 60
  start_epoch: 0
  batch_size: 32
  fixbase_epoch: 0
  open_layers: [classifier]
  staged_lr: false
  new_layers: [classifier]
  base_lr_mult: 0.1
  lr_scheduler: single_step
  stepsize: [20]
  gamma: 0.1
  print_freq: 20
  seed: 1
sgd: {momentum: 0.9, dampening: 0.0, nesterov: false}
rmsprop: {alpha: 0.99}
adam: {beta1: 0.9, beta2: 0.999}
loss:
  name: softmax
  softmax: {label_smooth: true}
  triplet: {margin: 0.3, weight_t: 1.0, weight_x: 0.0}
test:
  batch_size: 100
  dist_metric: euclidean
  normalize_feature: false
  ranks: [1, 5, 10, 20]
  evaluate: false
  eval_freq: -1
  start_eval: 0
  rerank: false
  visrank: false
  visrank_topk: 10
use_gpu: false
"""

PAUL = ['loss.name', 'paul', 'model.name', 'paul', 'data.transforms', 'surrogate_positive']


def loaded(*words: str):
    """The config of a command line, without asking for the GPU."""
    return load_config([*words, 'use_gpu', 'False'])


def errors_of(function, *arguments) -> list[str]:
    with pytest.raises(UserError) as caught:
        function(*arguments)
    return str(caught.value).splitlines()


@pytest.fixture
def write(tmp_path):
    """write(text, name) -> path of a new config file."""

    def write(text: str, name: str = 'run.yaml') -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    return write


# ---- keys --------------------------------------------------------------------------------------------------


def test_torchreids_keys_and_defaults():
    cfg = get_default_config()
    paul = cfg.pop('paul')
    # Ours, like the node paul.
    ours = {'amp': 'off', 'checkpoint_minutes': 5.0, 'keep_checkpoints': 2}
    assert {key: cfg.train.pop(key) for key in ours} == ours
    assert cfg.data.pop('bad_images') == 'stop'
    assert cfg.test.pop('fast_rank') is False
    assert cfg.pop('folder') == {'path': '', 'labels': ''}
    assert yaml.safe_load(cfg.dump()) == yaml.safe_load(TORCHREID)
    assert paul.surrogate.pop('transforms') == ['crop', 'rotation', 'colour']
    assert paul.surrogate == {'crop': [0.7, 0.95], 'rotation': 10.0, 'jitter': 0.2, 'hue': 0.0, 'sequence': False}
    assert (paul.k, paul.scale, paul.momentum, paul.r, paul.margin, paul.weight_pedal) == (
        10,
        30,
        0.1,
        3,
        2,
        2,
    )


def test_all_keys_are_leaves():
    keys = all_keys(get_default_config())
    assert {'use_gpu', 'loss.triplet.margin', 'paul.pretrain.opts'} <= set(keys)
    assert 'loss.triplet' not in keys
    assert len(keys) == len(set(keys))


def test_every_key_has_a_comment():
    source = Path(keys.__file__).read_text().splitlines()
    start = next(i for i, line in enumerate(source) if 'return CfgNode(' in line)
    end = next(i for i in range(start, len(source)) if not source[i])
    found = [i for i in range(start, end) if source[i].lstrip().startswith("'") and not source[i].endswith('{')]
    assert [source[i] for i in found if '#' not in source[i] and '#' not in source[i - 1]] == []
    assert len(found) == len(all_keys(get_default_config()))


def test_kwargs_for_torchreid():
    cfg = loaded('data.height', '99', 'train.lr', '0.5', 'test.evaluate', 'True', 'cuhk03.labeled_images', 'True')
    image, video = arguments.imagedata_kwargs(cfg), arguments.videodata_kwargs(cfg)
    assert (image['height'], video['height'], image['cuhk03_labeled'], len(image)) == (99, 99, True, 24)
    assert (video['seq_len'], len(video)) == (15, 20)
    assert (arguments.optimizer_kwargs(cfg)['lr'], len(arguments.optimizer_kwargs(cfg))) == (0.5, 12)
    assert arguments.lr_scheduler_kwargs(cfg) == {
        'lr_scheduler': 'single_step',
        'stepsize': [20],
        'gamma': 0.1,
        'max_epoch': 60,
    }
    assert (arguments.engine_run_kwargs(cfg)['test_only'], len(arguments.engine_run_kwargs(cfg))) == (True, 16)


# ---- the command line --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'line',
    [
        '-s a -t a b --root R train.lr 0.1 test.eval_freq -1',
        '-t a b train.lr 0.1 test.eval_freq -1 --root R -s a',
        'train.lr 0.1 -s a test.eval_freq -1 -t a b --root R',
        '--root R train.lr 0.1 --targets a b test.eval_freq -1 --sources a',
        'test.eval_freq -1 train.lr 0.1 --root=R --targets=a b --sources=a',
        "train.lr 0.1 data.sources a data.targets ['a','b'] data.root R",
        'train.lr 0.1 data.sources [a] data.targets [a,b] data.root R',
        '-s x -t a b -s a train.lr 9 train.lr 0.1 --roo R',
    ],
)
def test_any_order_gives_the_same_config(line):
    cfg = loaded(*line.split())
    assert (cfg.data.sources, cfg.data.targets, cfg.data.root) == (['a'], ['a', 'b'], 'R')
    assert (cfg.train.lr, cfg.test.eval_freq) == (0.1, -1)


def test_a_key_ends_every_list_of_names():
    line = '--transforms random_flip random_erase use_gpu False -s market1501 cuhk03 data.height 64'
    cfg = load_config(line.split())
    assert cfg.data.transforms == ['random_flip', 'random_erase']
    assert cfg.data.sources == ['market1501', 'cuhk03']
    assert (cfg.use_gpu, cfg.data.height) == (False, 64)


def test_precedence(write):
    path = write('data: {root: file, sources: [file], targets: [file]}\ntrain: {lr: 0.5}')
    cfg = loaded('data.sources', 'pair', '--config-file', path, '-s', 'option', '-t', 'option')
    assert (cfg.data.root, cfg.data.sources, cfg.data.targets) == ('file', ['pair'], ['option'])
    assert (cfg.train.lr, cfg.train.gamma) == (0.5, 0.1)


def test_use_gpu_follows_the_machine_unless_set(monkeypatch, write):
    monkeypatch.setattr(command_line, 'has_gpu', lambda: True)
    assert load_config([]).use_gpu is True
    assert load_config(['use_gpu', 'False']).use_gpu is False
    assert load_config(['--config-file', write('use_gpu: false')]).use_gpu is False


def test_help(capsys):
    with pytest.raises(SystemExit) as ended:
        load_config(['-s', 'a', '--help'], 'Trains a model.')
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(word in text for word in ('Trains a model.', '--config-file', 'KEY VALUE', 'example:'))


@pytest.mark.parametrize(
    ('line', 'parts'),
    [
        ('train.lr', ['train.lr is a KEY without a VALUE']),
        ('train.lr --root R', ['train.lr is a KEY without a VALUE']),
        ('train.lr -s a', ['train.lr is a KEY without a VALUE']),
        ('train.lr train.gamma 0.5', ['train.lr is a KEY without a VALUE']),
        ('trian.lr 0.1', ["unknown key 'trian.lr'", "did you mean 'train.lr'"]),
        ('train.lrr', ["unknown key 'train.lrr'", "did you mean 'train.lr'", 'without a VALUE']),
        ('data.sources a b', ["unknown key 'b'", 'without a VALUE']),
        ('nonsense 0.1', ["unknown key 'nonsense'", 'paul_plugin/config.py']),
        ('-t a trian.lr 0.1', ["unknown key 'trian.lr'", "did you mean 'train.lr'"]),
        ('-t a train.lrr 0.1', ["unknown key 'train.lrr'", "did you mean 'train.lr'"]),
        ('max_epoch 1', ["unknown key 'max_epoch'", "did you mean 'train.max_epoch'"]),
        ('triplet.margin 1', ["unknown key 'triplet.margin'", "did you mean 'loss.triplet.margin'"]),
        ('loss triplet', ['loss is a group of keys', 'loss.name']),
        ('train.lr abc', ["train.lr = 'abc'", 'expected float, such as 0.0003']),
        ('train.lr True', ["train.lr = 'True'", 'expected float']),
        ('train.lr None', ["train.lr = 'None'", 'expected float']),
        ('train.lr {[1]:2}', ['train.lr = ', 'expected float']),
        ('train.max_epoch 1.5', ["train.max_epoch = '1.5'", 'expected int, such as 60']),
        ('test.evaluate 1', ["test.evaluate = '1'", 'expected bool, such as False']),
        ('train.stepsize [20,a]', ["train.stepsize = '[20,a]'", 'expected list of int', '[20]']),
        ('paul.surrogate.crop [0.5,x]', ['paul.surrogate.crop', 'expected list of float', '[0.7, 0.95]']),
        ('--rot R', ["unknown option '--rot'", "did you mean '--root'"]),
        ('--config x.yaml --source a --tar', ['option --targets needs a value']),
        ('-x a b', ["unknown option '-x'"]),
        ('--t a', ["unknown option '--t'"]),  # --targets or --transforms
        ('--root', ['option --root needs a value']),
        ('-s -t a', ['option --sources needs a value']),
    ],
)
def test_bad_command_line(line, parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('x.yaml').touch()
    (error,) = errors_of(load_config, line.split())
    assert all(part in error for part in parts), error


def test_all_errors_are_reported_together(write):
    path = write('train: {lr: fast}\ntest: {rank: 1}')
    errors = errors_of(load_config, ['--foo', '--config-file', path, 'model.nam', 'x', 'train.max_epoch'])
    assert len(errors) == 5
    assert sum(path in error for error in errors) == 2


# ---- values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('key', 'text', 'value'),
    [
        ('train.lr', '1', 1.0),
        ('train.lr', '1e-4', 1e-4),
        ('loss.triplet.weight_x', '1', 1.0),
        ('paul.surrogate.crop', '[1,1]', [1.0, 1.0]),
        ('paul.surrogate.crop', '(0.5, 1)', [0.5, 1.0]),
        ('train.stepsize', '30', [30]),
        ('data.sources', 'market1501', ['market1501']),
        ('data.sources', "['a', 'b']", ['a', 'b']),
        ('data.transforms', '[]', []),
        ('data.transforms', 'None', []),
        ('data.transforms', 'Random_Flip', ['random_flip']),
        ('data.norm_mean', 'None', [0.485, 0.456, 0.406]),
        ('data.save_dir', '2024', '2024'),
        ('data.save_dir', "'log dir'", 'log dir'),
        ('model.load_weights', 'None', ''),
        ('test.evaluate', 'true', True),
        ('paul.pretrain.opts', "['train.max_epoch', 1]", ['train.max_epoch', 1]),
    ],
)
def test_accepted_values(key, text, value):
    found = keys.value_of(loaded(key, text), key)
    assert found == value
    assert type(found) is type(value)
    if isinstance(value, list):
        assert [type(item) for item in found] == [type(item) for item in value]


def test_targets_none_are_the_sources():
    assert loaded('data.targets', 'None', '-s', 'a', 'b').data.targets == ['a', 'b']
    assert loaded('-s', 'a').data.targets == ['market1501']


def test_merge_opts():
    cfg = get_default_config()
    merge_opts(cfg, ['train.max_epoch', 1, 'train.lr', '1e-3', 'data.sources', ['a']])
    assert (cfg.train.max_epoch, cfg.train.lr, cfg.data.sources) == (1, 1e-3, ['a'])
    assert len(errors_of(merge_opts, cfg, ['train.lrr', 1, 'train.max_epoch', '1.5', 'x'])) == 3


def test_a_config_survives_its_dump(write):
    cfg = loaded(*PAUL, 'train.lr', '1e-4', 'paul.pretrain.opts', "['train.max_epoch', 1]")
    again = get_default_config()
    merge_file(again, write(cfg.dump()))
    assert again == cfg


# ---- config files ------------------------------------------------------------------------------------------


def test_file_values(write):
    cfg = get_default_config()
    text = 'train: {lr: 1e-4, weight_decay: 0}\ndata: {sources: a}\nmodel: {load_weights: }\nsgd:\ntest.rerank: yes'
    merge_file(cfg, write(text))
    assert (cfg.train.lr, cfg.train.weight_decay, cfg.data.sources) == (1e-4, 0.0, ['a'])
    assert type(cfg.train.weight_decay) is float
    assert (cfg.model.load_weights, cfg.sgd.momentum, cfg.test.rerank) == ('', 0.9, True)
    merge_file(cfg, write(''))


@pytest.mark.parametrize(
    ('text', 'parts'),
    [
        ('train: {lrr: 1}', ["unknown key 'train.lrr'", "did you mean 'train.lr'"]),
        ('trian: {lr: 1}', ["unknown key 'trian'", "did you mean 'train"]),
        ('1: 2', ["unknown key '1'"]),
        ('train: 5', ['train is a group of keys']),
        ('train: &a {lr: *a}', ['train.lr = ', 'expected float']),
        ('train:\n  lr: fast', ["train.lr = 'fast'", 'expected float, such as 0.0003']),
        ('train:\n  lr:', ['train.lr = None', 'expected float']),
        ('data: {root: 5}', ['data.root = 5', 'expected str', 'quotes']),
        ('data: {root: 2024-01-01}', ['data.root', 'expected str']),
        ('train: {lr: {a: 1}}', ["train.lr = {'a': 1}", 'expected float']),
        ('model:\n  name: [a\ntrain: 1', ['line 3', 'not valid YAML']),
        ('model:\n\tname: a', ['line 2', 'not valid YAML']),
        ('a: 2024-99-99', ['not valid YAML', 'month']),
        ('a: \x01', ['not valid YAML']),
        ('[' * 5000, ['not valid YAML']),
        ('just words', ["'just words'", 'expected keys and values']),
    ],
)
def test_bad_file(text, parts, write):
    path = write(text)
    (error,) = errors_of(merge_file, get_default_config(), path)
    assert path in error
    assert all(part in error for part in parts), error


def test_unreadable_file(write, tmp_path):
    write('', 'paul.yaml')
    (error,) = errors_of(load_config, ['--config-file', str(tmp_path / 'pual.yaml')])
    assert 'pual.yaml: No such file' in error
    assert "did you mean 'paul.yaml'" in error
    assert 'no/such' in errors_of(load_config, ['--config-file', 'no/such/file.yaml'])[0]
    assert str(tmp_path) in errors_of(load_config, ['--config-file', str(tmp_path)])[0]
    (tmp_path / 'latin.yaml').write_bytes(b'model: {name: \xe9}')
    assert 'not UTF-8' in errors_of(load_config, ['--config-file', str(tmp_path / 'latin.yaml')])[0]


@pytest.mark.parametrize(
    'text', ["!!python/object/apply:os.system ['touch {}']", "model: !!python/object/apply:os.mkdir ['{}']"]
)
def test_yaml_runs_nothing(text, write, tmp_path):
    trace = tmp_path / 'trace'
    (error,) = errors_of(merge_file, get_default_config(), write(text.format(trace)))
    assert 'line 1' in error
    assert 'python/object/apply' in error
    assert not trace.exists()


def test_a_python_file_is_not_run(write, tmp_path):
    trace = tmp_path / 'trace'
    errors_of(merge_file, get_default_config(), write(f'open({str(trace)!r}, "w")\ncfg = dict()\n', 'run.py'))
    assert not trace.exists()


def test_pretrain_config_is_found_and_absolute(write, tmp_path, monkeypatch):
    pretrain = 'paul: {pretrain: {config: configs/pre.yaml}}'
    beside = write('', 'configs/sub/pre.yaml')
    naming = write('paul: {pretrain: {config: pre.yaml}}', 'configs/sub/run.yaml')
    from_here = write('', 'configs/pre.yaml')
    monkeypatch.chdir(tmp_path)
    assert loaded('--config-file', naming).paul.pretrain.config == beside
    assert loaded('--config-file', write(pretrain)).paul.pretrain.config == from_here
    assert loaded('--config-file', write(pretrain, 'configs/run.yaml')).paul.pretrain.config == from_here
    assert loaded('paul.pretrain.config', 'configs/pre.yaml').paul.pretrain.config == from_here
    assert loaded().paul.pretrain.config == ''


# ---- checks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'words',
    [
        [],
        PAUL,
        [*PAUL, 'train.batch_size', '5', 'data.height', '33', 'data.width', '33'],
        [*PAUL, 'paul.patch_source', 'stripe', 'data.height', '32', 'data.width', '1'],
        [*PAUL, 'paul.weight_pedal', '0'],
        [*PAUL, 'paul.weight_ipfl', '0', 'paul.momentum', '1', 'paul.surrogate.crop', '[1,1]'],
        [*PAUL, 'paul.pretrain.opts', "['train.max_epoch', 1]", 'train.max_epoch', '0', 'train.lr', '0'],
        [*PAUL, 'train.fixbase_epoch', '1', 'train.open_layers', "['branches', 'classifier']"],
        ['model.name', 'paul', 'loss.name', 'triplet', 'sampler.train_sampler', 'RandomIdentitySampler'],
        ['loss.name', 'triplet', 'loss.triplet.weight_x', '1', 'train.fixbase_epoch', '1'],
        ['data.type', 'video', 'data.sources', 'mars', 'video.sample_method', 'all'],
        ['test.visrank', 'True', 'test.evaluate', 'True', 'test.eval_freq', '5'],
        ['sampler.train_sampler', 'RandomDomainSampler', 'sampler.num_cams', '0'],
        ['data.transforms', '[]', 'data.norm_mean', '0,0,0', 'data.sources', 'never_heard_of'],
        ['data.load_train_targets', 'True', 'data.targets', 'dukemtmcreid'],
    ],
)
def test_good_values(words):
    check_config(loaded(*words))


@pytest.mark.parametrize(
    ('words', 'parts'),
    [
        ('data.type images', ["data.type = 'images'", "did you mean 'image'"]),
        ('loss.name pual', ["loss.name = 'pual'", 'softmax, triplet, paul', "did you mean 'paul'"]),
        ('train.optim adamm', ["train.optim = 'adamm'", "did you mean 'adam'"]),
        ('train.lr_scheduler cosin', ["train.lr_scheduler = 'cosin'", "did you mean 'cosine'"]),
        ('sampler.train_sampler RandomSample', ["'RandomSample'", "did you mean 'RandomSampler'"]),
        ('test.dist_metric cosin', ["test.dist_metric = 'cosin'", "did you mean 'cosine'"]),
        ('video.pooling_method mean', ["video.pooling_method = 'mean'", 'avg, max']),
        ('paul.patch_source strip', ["paul.patch_source = 'strip'", "did you mean 'stripe'"]),
        ('data.transforms random_flop', ["'random_flop'", "did you mean 'random_flip'"]),
        ('train.max_epoch -1', ['train.max_epoch = -1', 'at least 0']),
        ('train.batch_size 0', ['train.batch_size = 0', 'at least 1']),
        ('test.batch_size 0', ['test.batch_size = 0', 'at least 1']),
        ('train.lr -0.1', ['train.lr = -0.1', 'at least 0, finite']),
        ('train.lr nan', ['train.lr = nan', 'finite']),
        ('train.lr inf', ['train.lr = inf', 'finite']),
        ('train.weight_decay -1', ['train.weight_decay = -1.0', 'at least 0']),
        ('train.print_freq 0', ['train.print_freq = 0', 'at least 1']),
        ('train.seed -1', ['train.seed = -1', 'from 0']),
        ('train.stepsize [0]', ['train.stepsize = [0]', 'at least 1']),
        ('train.stepsize []', ['train.stepsize = []']),
        ('data.height 0', ['data.height = 0', 'at least 1']),
        ('data.width 0', ['data.width = 0', 'at least 1']),
        ('data.sources []', ['data.sources = []', 'at least one data set']),
        ('data.norm_std [1,0,1]', ['data.norm_std = [1.0, 0.0, 1.0]', 'above 0']),
        ('data.norm_mean [1,inf]', ['data.norm_mean', '3 numbers']),
        ('test.ranks [1,51]', ['test.ranks = [1, 51]', '1 to 50']),
        ('adam.beta1 1', ['adam.beta1 = 1.0', 'below 1']),
        ('paul.k 0', ['paul.k = 0', 'at least 1']),
        ('paul.r 0', ['paul.r = 0', 'at least 1']),
        ('paul.num_patches 0', ['paul.num_patches = 0', 'at least 1']),
        ('paul.feature_dim 0', ['paul.feature_dim = 0', 'at least 1']),
        ('paul.scale 0', ['paul.scale = 0.0', 'above 0']),
        ('paul.momentum 0', ['paul.momentum = 0.0', 'above 0 and at most 1']),
        ('paul.momentum 1.1', ['paul.momentum = 1.1', 'above 0 and at most 1']),
        ('paul.margin -1', ['paul.margin = -1.0', 'at least 0']),
        ('paul.weight_pedal -1', ['paul.weight_pedal = -1.0', 'at least 0']),
        ('paul.surrogate.crop [0,1]', ['paul.surrogate.crop = [0.0, 1.0]', '0 < low']),
        ('paul.surrogate.crop [0.9,0.7]', ['paul.surrogate.crop = [0.9, 0.7]', 'low <= high']),
        ('paul.surrogate.crop 0.7', ['paul.surrogate.crop = [0.7]', 'two shares']),
        ('paul.surrogate.transforms [crop,flip]', ["paul.surrogate.transforms = ['crop', 'flip']", 'crop, rotation']),
        ('paul.surrogate.rotation 181', ['paul.surrogate.rotation = 181.0', '0 to 180']),
        ('paul.surrogate.jitter 1.5', ['paul.surrogate.jitter = 1.5', '0 to 1']),
        ('paul.synthetic.images_per_id 3', ['paul.synthetic.images_per_id = 3', 'from 4']),
        ('paul.synthetic.train_ids 1499', ['paul.synthetic.train_ids = 1499', '1501']),
        ('paul.pretrain.opts [train.lrr,1]', ['paul.pretrain.opts', "unknown key 'train.lrr'", "'train.lr'"]),
        ('paul.pretrain.opts [train.lr]', ['paul.pretrain.opts', "'train.lr'", 'without a VALUE']),
        ('data.transforms surrogate_positive', ['surrogate_positive', 'loss.name paul only']),
        ('loss.name triplet train.fixbase_epoch 1', ['train.fixbase_epoch = 1', 'loss.triplet.weight_x']),
        (
            'sampler.train_sampler RandomIdentitySampler train.batch_size 3',
            ['train.batch_size = 3', 'sampler.num_instances, 4'],
        ),
        (
            'sampler.train_sampler RandomDomainSampler sampler.num_cams 5',
            ['train.batch_size = 32', 'sampler.num_cams, 5'],
        ),
        ('data.load_train_targets True', ['data.load_train_targets = True', 'market1501']),
        ('test.visrank True', ['test.visrank = True', 'test.evaluate True']),
        ('train.optim sgd sgd.nesterov True sgd.momentum 0', ['sgd.nesterov = True', 'sgd.momentum']),
        ('paul data.type video', ["data.type = 'video'", 'needs image']),
        ('paul data.transforms random_flip', ["data.transforms = ['random_flip']", 'surrogate_positive']),
        ('paul data.k_tfm 2', ['data.k_tfm = 2', 'needs 1']),
        ('paul train.batch_size 4', ['train.batch_size = 4', 'at least 5']),
        ('paul model.name resnet50', ["model.name = 'resnet50'", "'paul'"]),
        ('paul data.height 32', ['data.height = 32', 'pgn needs at least 33']),
        ('model.name paul data.height 16', ['data.height = 16', 'pgn needs at least 33']),
        ('paul data.width 32', ['data.width = 32', 'pgn needs at least 33']),
        ('paul paul.weight_pedal 0 paul.weight_ipfl 0', ['paul.weight_pedal = 0.0', 'paul.weight_ipfl']),
        ('paul train.fixbase_epoch 1', ["train.open_layers = ['classifier']", "'branches'"]),
    ],
)
def test_bad_values(words, parts):
    words = words.split()
    words = [*PAUL, *words[1:]] if words[0] == 'paul' else words
    (error,) = errors_of(check_config, loaded(*words))
    assert all(part in error for part in parts), error


def test_use_gpu_needs_a_gpu(monkeypatch):
    cfg = load_config(['use_gpu', 'True'])
    monkeypatch.setattr(checks, 'has_gpu', lambda: False)
    assert errors_of(check_config, cfg) == ['use_gpu = True: torch finds no GPU, set it to False']


def test_all_bad_values_are_reported_together():
    cfg = loaded(*PAUL, 'train.lr', 'nan', 'train.optim', 'adamw', 'data.k_tfm', '2', 'data.height', '16')
    assert len(errors_of(check_config, cfg)) == 4


def test_every_number_is_checked():
    cfg = get_default_config()
    numbers = {key for key in all_keys(cfg) if type(keys.value_of(cfg, key)) in (int, float)}
    assert numbers == {key for _, _, keys in checks._RANGES for key in keys.split()}


def test_nearest():
    assert nearest('trian', ['train', 'test']) == " (did you mean 'train'?)"
    assert nearest('x', ['train']) == ''
