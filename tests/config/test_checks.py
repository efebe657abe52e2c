"""The checks of the values: the rule of each key, and combinations that cannot work."""

import pytest
from helpers.configs import PAUL, errors_of, loaded

from paul_plugin.commands.run_words import load_config
from paul_plugin.config import checks, rules
from paul_plugin.config.checks import check_config
from paul_plugin.config.keys import KEYS, get_default_config, set_value

SCHEDULE = ' '.join(f'paul.supervised.schedule.{part} [[0,0.1]]' for part in ('heads', 'backbone', 'pgn'))


@pytest.mark.parametrize(
    'words',
    [
        [],
        PAUL,
        [*PAUL, 'train.batch_size', '5', 'data.height', '33', 'data.width', '33'],
        [*PAUL, 'paul.patch_source', 'stripe', 'data.height', '32', 'data.width', '1'],
        [*PAUL, 'paul.weight_pedal', '0'],
        [*PAUL, 'paul.weight_ipfl', '0', 'paul.momentum', '1', 'paul.surrogate.crop', '[1,1]'],
        [*PAUL, 'data.transforms', 'random_flip', 'paul.weight_ipfl', '0'],
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
        ('data.transforms random_flop', ["'random_flop'", "did you mean 'random_flip'"]),
        ('train.max_epoch -1', ['train.max_epoch = -1', 'at least 0']),
        ('train.lr nan', ['train.lr = nan', 'finite']),
        ('train.lr auto', ["train.lr = 'auto': is for loss.name paul only, loss.name softmax needs a number"]),
        ('data.sources []', ['data.sources = []', 'at least one data set']),
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
        ('train.amp auto', ["train.amp = 'auto'", 'have no mixed precision, set it to off']),
        ('train.batch_size 1', ['train.batch_size = 1', 'at least 2, a single image has no statistics']),
        ('test.centre_cameras True', ['test.centre_cameras = True', 'needs loss.name paul']),
        ('test.camera_norms True', ['test.camera_norms = True', 'needs loss.name paul']),
        (
            'paul test.centre_cameras True data.targets mars',
            ['test.centre_cameras = True', 'data.sources and data.targets to be one and the same data set'],
        ),
        ('test.visrank True', ['test.visrank = True', 'test.evaluate True']),
        ('train.optim sgd sgd.nesterov True sgd.momentum 0', ['sgd.nesterov = True', 'sgd.momentum']),
        (
            'test.evaluate True data.type video data.sources folder data.targets folder',
            ["data.type = 'video'", 'the data set folder holds images'],
        ),
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
        ('paul.synthetic.train_ids 1499', ['paul.synthetic.train_ids = 1499', '1501']),
        (f'model.name paul {SCHEDULE} paul.supervised.schedule.pgn [[1,0.1]]', ['schedule.pgn', 'the epochs rising']),
        (SCHEDULE, ['paul.supervised.schedule.heads', "is for PatchNet's pre-training only"]),
        (f'model.name paul train.staged_lr True {SCHEDULE}', ['train.staged_lr = True', 'must be False where']),
        ('paul.supervised.released True', ['paul.supervised.released = True', 'needs one of our models']),
        ('paul.supervised.mixup 0.5', ['paul.supervised.mixup = 0.5', 'needs paul.supervised.released True']),
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


# ---- rules ---------------------------------------------------------------------------------------------------------

# The words of a rule -> values that it refuses, on each side of its bounds.
REFUSED = {
    'at least 0': [-1, float('inf'), float('nan')],
    'at least 1': [0, 10**39],
    'at least 0 and at most 1000': [-1, 1001],
    'at least 1 and at most 10000': [0, 10_001],
    'above 0': [0.0, float('inf')],
    'above 0 and at most 1': [0.0, 1.01],
    'from 0 to 1': [-0.01, 1.01],
    'from 0 to 0.5': [-0.01, 0.51],
    'from 0 to below 1': [-0.01, 1.0],
    'from 0 to 180': [-1.0, 180.1],
    'from 0 to 4294967295': [-1, 2**32],
    '-1, or from 0 to 4294967295': [-2, 2**32],
    'from 2 to 1499': [1, 1500],
    'from 4 to 600': [3, 601],
    'a number': [float('nan'), 10**39],
    'at least one data set': [[]],
    '3 numbers': [[1.0, 1.0], [1.0, 1.0, float('nan')]],
    '3 numbers above 0.000001': [[1.0, 1.0], [1.0, 1.0, 1e-6]],
    'epochs, at least 1': [[], [20, 0]],
    'ranks from 1 to 50': [[], [0, 1], [1, 51]],
    'two shares, 0 < low <= high <= 1': [[0.5], [0.0, 0.5], [0.9, 0.5], [0.5, 1.1]],
    'of crop, rotation, colour': [['crop', 'flip']],
}


@pytest.mark.parametrize('key', [key for key in KEYS if key.allowed], ids=lambda key: key.name)
def test_the_rule_of_every_key(key):
    """check_config refuses what the key's rule refuses, in the rule's words."""
    names = {rules.Choice: ['no_such'], rules.Names: [['random_flip', 'no_such']]}
    for value in names.get(type(key.allowed)) or REFUSED[key.allowed.words]:
        cfg = get_default_config()
        set_value(cfg, key.name, value)
        complaints = [line for line in errors_of(check_config, cfg) if line.startswith(f'{key.name} = ')]
        assert key.allowed.words in complaints[0], (value, complaints)


def test_bounds_are_allowed():
    """What lies on a bound is within it, but for `above` and `below`."""
    cfg = get_default_config()
    for key, value in {
        'train.lr': 0.0, 'train.batch_size': 5, 'data.workers': 1000, 'data.height': 10_000, 'paul.momentum': 1.0,
        'paul.collapse_cosine': 1.0, 'paul.surrogate.rotation': 180.0, 'train.seed': 2**32 - 1, 'adam.beta1': 0.0,
        'paul.synthetic.seed': 2**32 - 1, 'paul.synthetic.train_ids': 1499, 'paul.synthetic.test_ids': 2,
        'paul.synthetic.images_per_id': 600, 'test.ranks': [1, 50], 'paul.surrogate.crop': [1.0, 1.0],
        'data.transforms': ['Random_Flip'], 'paul.surrogate.transforms': [],
    }.items():  # fmt: skip
        set_value(cfg, key, value)
    check_config(cfg)


def test_every_number_has_a_range():
    numbers = {key.name for key in KEYS if type(key.default) in (int, float)}
    assert numbers == {key.name for key in KEYS if isinstance(key.allowed, rules.Range)}


def test_complaints_come_by_kind():
    """Choices before ranges before lists before names, each in the order of the keys."""
    words = 'data.transforms random_flop test.ranks [0] paul.k 0 data.split_id -1 train.optim adamw data.type text'
    found = [error.split(' = ')[0] for error in errors_of(check_config, loaded(*words.split()))]
    assert found == ['data.type', 'train.optim', 'data.split_id', 'paul.k', 'test.ranks', 'data.transforms']
