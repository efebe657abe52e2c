"""The table of the keys: defaults, marks, texts; the printed list; the arguments that are made of the values."""

import pytest
import yaml
from helpers.configs import errors_of, loaded

from paul_plugin.config import arguments
from paul_plugin.config.keys import KEYS, Mark, all_keys, get_default_config, marked, set_value, value_of
from paul_plugin.config.manual import list_keys, not_default

# torchreid 1.4.0's keys and defaults.
TORCHREID = """
model: {name: resnet50, pretrained: true, load_weights: '', resume: ''}
data: {type: image, root: reid-data, sources: [market1501], targets: [market1501], workers: 4, split_id: 0, height: 256,
  width: 128, combineall: false, transforms: [random_flip], k_tfm: 1, norm_mean: [0.485, 0.456, 0.406],
  norm_std: [0.229, 0.224, 0.225], save_dir: log, load_train_targets: false}
market1501: {use_500k_distractors: false}
cuhk03: {labeled_images: false, classic_split: false, use_metric_cuhk03: false}
sampler: {train_sampler: RandomSampler, train_sampler_t: RandomSampler, num_instances: 4, num_cams: 1, num_datasets: 1}
video: {seq_len: 15, sample_method: evenly, pooling_method: avg}
train: {optim: adam, lr: 0.0003, weight_decay: 0.0005, max_epoch: 60, start_epoch: 0, batch_size: 32, fixbase_epoch: 0,
  open_layers: [classifier], staged_lr: false, new_layers: [classifier], base_lr_mult: 0.1, lr_scheduler: single_step,
  stepsize: [20], gamma: 0.1, print_freq: 20, seed: 1}
sgd: {momentum: 0.9, dampening: 0.0, nesterov: false}
rmsprop: {alpha: 0.99}
adam: {beta1: 0.9, beta2: 0.999}
loss: {name: softmax, softmax: {label_smooth: true}, triplet: {margin: 0.3, weight_t: 1.0, weight_x: 0.0}}
test: {batch_size: 100, dist_metric: euclidean, normalize_feature: false, ranks: [1, 5, 10, 20], evaluate: false,
  eval_freq: -1, start_eval: 0, rerank: false, visrank: false, visrank_topk: 10}
use_gpu: false
"""


def test_torchreids_keys_and_defaults():
    cfg = get_default_config()
    paul = cfg.pop('paul')
    # Ours, like the node paul.
    ours = {'amp': 'off', 'checkpoint_minutes': 5.0, 'keep_checkpoints': 2}
    assert {key: cfg.train.pop(key) for key in ours} == ours
    assert (cfg.data.pop('bad_images'), cfg.data.pop('stretch')) == ('stop', False)
    ours = {'fast_rank': True, 'centre_cameras': False, 'camera_norms': False}
    assert {key: cfg.test.pop(key) for key in ours} == ours
    assert cfg.pop('folder') == {'path': '', 'labels': '', 'camera': '', 'near_copies': 'one'}
    assert yaml.safe_load(cfg.dump()) == yaml.safe_load(TORCHREID)
    assert paul.surrogate.pop('transforms') == ['crop', 'rotation', 'colour']
    assert paul.surrogate == {'crop': [0.7, 0.95], 'rotation': 10.0, 'jitter': 0.2, 'hue': 0.0, 'sequence': False}
    assert (paul.k, paul.scale, paul.momentum, paul.r, paul.margin, paul.weight_pedal) == (10, 30, 0.1, 3, 2, 2)


# What was known of the keys before they had one table: where a mark goes wrong, a run is resumed with other settings,
# or an ablation takes one run for another. Those of a stage are in test_stage_config.py.
MARKED = {
    Mark.FREE: """
        use_gpu model.pretrained model.load_weights model.resume data.root data.workers data.save_dir
        folder.path folder.labels train.max_epoch train.start_epoch train.print_freq train.checkpoint_minutes
        train.keep_checkpoints test.batch_size test.ranks test.evaluate test.eval_freq test.start_eval
        test.rerank test.visrank test.visrank_topk test.fast_rank paul.memory.shard paul.collapse_cosine
        paul.keep paul.guard paul.pictures_freq paul.pretrain.config paul.pretrain.opts
    """,
    Mark.SAME: """
        use_gpu model.resume data.root data.workers data.save_dir train.start_epoch train.print_freq
        train.checkpoint_minutes train.keep_checkpoints train.seed test.batch_size test.ranks test.eval_freq
        test.start_eval test.rerank test.visrank test.visrank_topk test.fast_rank paul.memory.shard
        paul.collapse_cosine paul.guard paul.pictures_freq paul.pretrain.config paul.pretrain.opts
    """,
    Mark.TRANSFER: """
        model.name model.pretrained model.load_weights model.resume data.type data.targets data.split_id
        data.height data.width data.norm_mean data.norm_std market1501.use_500k_distractors folder.path
        data.stretch folder.near_copies
        folder.labels folder.camera cuhk03.labeled_images cuhk03.classic_split cuhk03.use_metric_cuhk03
        test.batch_size test.dist_metric test.normalize_feature test.centre_cameras test.camera_norms test.ranks
        test.evaluate test.eval_freq test.start_eval test.rerank test.visrank test.visrank_topk test.fast_rank
        paul.num_patches paul.feature_dim paul.patch_source paul.synthetic.train_ids paul.synthetic.test_ids
        paul.synthetic.images_per_id paul.synthetic.seed
    """,
    Mark.WEIGHTS: """
        paul.num_patches paul.feature_dim paul.patch_source paul.pretrain.config paul.pretrain.opts
    """,
}


@pytest.mark.parametrize('mark', MARKED)
def test_marks(mark):
    assert marked(mark) == set(MARKED[mark].split())


def test_every_key_has_a_text_and_a_default_of_its_rule():
    for key in KEYS:
        assert key.about.strip(), key.name
        assert not key.about.endswith('.'), key.name
        assert key.allowed is None or list(key.allowed.errors(key.name, key.default)) == [], key.name


def test_the_table_is_the_config():
    """The order of the table is that of the config, so a group's keys lie together."""
    cfg = get_default_config()
    assert all_keys(cfg) == [key.name for key in KEYS]
    assert [value_of(cfg, key.name) for key in KEYS] == [key.default for key in KEYS]


def test_a_config_does_not_share_its_lists_with_the_table():
    cfg = get_default_config()
    cfg.data.sources.append('msmt17')
    set_value(cfg, 'paul.surrogate.crop', [1.0, 1.0])
    assert get_default_config().data.sources == ['market1501']
    assert (cfg.paul.surrogate.crop, get_default_config().paul.surrogate.crop) == ([1.0, 1.0], [0.7, 0.95])


# ---- the printed list ----------------------------------------------------------------------------------------------


def test_every_key_is_listed_with_its_default_and_rule():
    lines = list_keys().splitlines()
    heads = [line for line in lines if not line.startswith(' ')]
    assert [head.split(' = ')[0] for head in heads] == [key.name for key in KEYS]
    assert 'train.lr = 0.0003  (at least 0, or auto)' in heads
    assert "data.type = 'image'  (one of image, video)" in heads
    assert 'test.evaluate = False  (True or False)' in heads
    assert 'paul.supervised.schedule.pgn = []' in heads
    assert max(map(len, lines)) <= 120


def test_the_list_is_cut_to_a_word():
    names = [line.split()[0] for line in list_keys('MEMORY bank').splitlines() if not line.startswith(' ')]
    assert {'paul.similarity', 'paul.memory.shard', 'paul.bank_dtype'} <= set(names)
    assert 'train.lr' not in names
    assert list_keys('train.gamma') == 'train.gamma = 0.1  (at least 0)\n    factor of the rate at a step'
    assert errors_of(list_keys, 'nonsense') == ["no key has 'nonsense' in its name or text: --keys alone lists all"]


# ---- arguments -----------------------------------------------------------------------------------------------------


def test_kwargs_for_torchreid():
    cfg = loaded('data.height', '99', 'train.lr', '0.5', 'test.evaluate', 'True', 'cuhk03.labeled_images', 'True')
    image, video = arguments.imagedata_kwargs(cfg), arguments.videodata_kwargs(cfg)
    assert (image['height'], video['height'], image['cuhk03_labeled'], len(image)) == (99, 99, True, 24)
    assert (video['seq_len'], len(video)) == (15, 20)
    assert (arguments.optimizer_kwargs(cfg)['lr'], len(arguments.optimizer_kwargs(cfg))) == (0.5, 12)
    schedule = {'lr_scheduler': 'single_step', 'stepsize': [20], 'gamma': 0.1, 'max_epoch': 60}
    assert arguments.lr_scheduler_kwargs(cfg) == schedule
    assert (arguments.engine_run_kwargs(cfg)['test_only'], len(arguments.engine_run_kwargs(cfg))) == (True, 16)


def test_what_is_shown_of_a_config():
    """Each key that is not the default in a line of its own, whatever its value."""
    cfg = get_default_config()
    assert not_default(cfg) == ''
    cfg.model.name, cfg.data.root, cfg.data.sources, cfg.train.lr = 'a\nerror: b', '', ['c\x1b[31m'], 'auto'
    assert not_default(cfg).splitlines() == [
        r"  model.name: 'a\nerror: b'",
        "  data.root: ''",
        r"  data.sources: ['c\x1b[31m']",
        '  train.lr: auto',
    ]
