"""Checks of a config's values, before any data are read: ranges, names, and combinations that cannot work."""

import math
from collections.abc import Iterator

from yacs.config import CfgNode

from ..runtime.errors import nearest, raise_together, show
from ..runtime.launch import number_launched
from .keys import all_keys, get_default_config, value_of
from .settings import has_gpu, opts_errors

OPTIMIZERS = ('adam', 'amsgrad', 'sgd', 'rmsprop', 'radam')
SCHEDULERS = ('single_step', 'multi_step', 'cosine')
SAMPLERS = (
    'RandomIdentitySampler',
    'SequentialSampler',
    'RandomSampler',
    'RandomDomainSampler',
    'RandomDatasetSampler',
)
SURROGATE = 'surrogate_positive'
TRANSFORMATIONS = ('crop', 'rotation', 'colour')  # of a surrogate
TRANSFORMS = ('random_flip', 'random_crop', 'random_patch', 'color_jitter', 'random_erase', SURROGATE)
_CHOICES = {
    'data.type': ('image', 'video'),
    'data.bad_images': ('stop', 'skip'),
    'loss.name': ('softmax', 'triplet', 'paul'),
    'train.optim': OPTIMIZERS,
    'train.lr_scheduler': SCHEDULERS,
    'sampler.train_sampler': SAMPLERS,
    'sampler.train_sampler_t': SAMPLERS,
    'video.sample_method': ('evenly', 'random', 'all'),
    'video.pooling_method': ('avg', 'max'),
    'test.dist_metric': ('euclidean', 'cosine'),
    'train.amp': ('off', 'bf16', 'fp16'),
    'paul.bank_dtype': ('float32', 'bfloat16'),
    'paul.ipfl': ('descriptor', 'centroid'),
    'paul.patch_source': ('pgn', 'stripe', 'random'),
    'paul.similarity': ('patch', 'image'),
}
_LARGEST = 3e38  # of a number that torch computes with, in float32
# Range in words, its test, the keys.
_RANGES = (
    (
        'at least 0',
        lambda x: x >= 0,
        'data.split_id train.lr train.weight_decay train.max_epoch train.start_epoch '
        'train.fixbase_epoch train.base_lr_mult train.gamma sgd.momentum rmsprop.alpha loss.triplet.margin '
        'loss.triplet.weight_t loss.triplet.weight_x train.checkpoint_minutes '
        'paul.margin paul.weight_pedal paul.weight_ipfl',
    ),
    (
        'at least 1',
        lambda x: x >= 1,
        'data.k_tfm sampler.num_instances train.batch_size train.print_freq train.keep_checkpoints test.batch_size '
        'test.visrank_topk paul.k paul.r',
    ),
    # Bounds that no sensible value reaches: beyond them the machine stands still before any error comes.
    ('at least 0 and at most 1000', lambda x: 0 <= x <= 1000, 'data.workers'),
    (
        'at least 1 and at most 10000',
        lambda x: 1 <= x <= 10_000,
        'data.height data.width video.seq_len paul.num_patches paul.feature_dim',
    ),
    ('above 0', lambda x: x > 0, 'paul.scale'),
    (
        'at least 0',
        lambda x: x >= 0,
        'paul.supervised.mixup paul.supervised.warmup_epochs paul.max_candidates paul.pictures_freq',
    ),
    ('above 0 and at most 1', lambda x: 0 < x <= 1, 'paul.momentum'),
    ('from 0 to 1', lambda x: 0 <= x <= 1, 'paul.surrogate.jitter paul.collapse_cosine'),
    ('from 0 to 0.5', lambda x: 0 <= x <= 0.5, 'paul.surrogate.hue'),
    ('from 0 to below 1', lambda x: 0 <= x < 1, 'adam.beta1 adam.beta2'),
    ('from 0 to 180', lambda x: 0 <= x <= 180, 'paul.surrogate.rotation'),
    ('from 0 to 4294967295', lambda x: 0 <= x < 2**32, 'train.seed'),  # NumPy's
    ('-1, or from 0 to 4294967295', lambda x: -1 <= x < 2**32, 'paul.synthetic.seed'),
    ('from 2 to 1499', lambda x: 2 <= x <= 1499, 'paul.synthetic.train_ids paul.synthetic.test_ids'),
    ('from 4 to 600', lambda x: 4 <= x <= 600, 'paul.synthetic.images_per_id'),
    (
        'a number',
        lambda x: True,
        'sgd.dampening test.eval_freq test.start_eval sampler.num_cams sampler.num_datasets',
    ),
)
# The same for lists; the test sees the list, without inf or nan. torchreid's CMC curve ends at rank 50.
_LISTS = (
    ('must name at least one data set', bool, 'data.sources data.targets'),
    ('must be 3 numbers', lambda x: len(x) == 3, 'data.norm_mean'),
    ('must be 3 numbers above 0.000001', lambda x: len(x) == 3 and min(x) > 1e-6, 'data.norm_std'),
    ('must be epochs, at least 1', lambda x: x and min(x) >= 1, 'train.stepsize'),
    ('must be ranks from 1 to 50', lambda x: x and min(x) > 0 and max(x) <= 50, 'test.ranks'),
    (
        'must be two shares, 0 < low <= high <= 1',
        lambda x: len(x) == 2 and 0 < x[0] <= x[1] <= 1,
        'paul.surrogate.crop',
    ),
    (
        f'must be of {", ".join(TRANSFORMATIONS)}',
        lambda x: set(x) <= set(TRANSFORMATIONS),
        'paul.surrogate.transforms',
    ),
)


def _complaint(cfg: CfgNode, key: str, way_out: str) -> str:
    return f'{key} = {show(value_of(cfg, key))}: {way_out}'


def _is_text(value: str) -> bool:
    """Whether a file can be named so and the log can hold it."""
    return '\0' not in value and value == value.encode('utf-8', 'replace').decode()


def _value_errors(cfg: CfgNode) -> Iterator[str]:
    """Values that are wrong whatever the others are."""
    for key in all_keys(cfg):
        value = value_of(cfg, key)
        if isinstance(value, str) and not _is_text(value):
            yield _complaint(cfg, key, 'must be UTF-8 text without null characters')
    for key, names in _CHOICES.items():
        value = value_of(cfg, key)
        if value not in names:
            yield _complaint(cfg, key, f'must be one of {", ".join(names)}{nearest(value, names)}')
    for words, test, keys in _RANGES:
        for key in keys.split():
            value = value_of(cfg, key)
            if not (abs(value) <= _LARGEST and test(value)):
                finite = ', finite in float32' if isinstance(value, float) else ''
                yield _complaint(cfg, key, f'must be {words}{finite}')
    for words, test, keys in _LISTS:
        for key in keys.split():
            values = value_of(cfg, key)
            numbers = [value for value in values if isinstance(value, float)]
            if not (all(map(math.isfinite, numbers)) and test(values)):
                yield _complaint(cfg, key, words)
    for name in _unknown_transforms(cfg):
        # torchreid skips it silently.
        hint = nearest(name, TRANSFORMS)
        yield f'data.transforms = {show(name)}: must be of {", ".join(TRANSFORMS)}{hint}'
    yield from opts_errors(get_default_config(), cfg.paul.pretrain.opts, 'paul.pretrain.opts: ')


def _transforms(cfg: CfgNode) -> list[str]:
    return [name.lower() for name in cfg.data.transforms]


def _schedule_errors(cfg: CfgNode) -> Iterator[str]:
    """Learning rates by part: all parts or none, each from epoch 0 on."""
    schedule = cfg.paul.supervised.schedule
    given = [part for part in schedule if schedule[part]]
    for part, steps in schedule.items():
        key = f'paul.supervised.schedule.{part}'
        if not steps and given:
            yield _complaint(cfg, key, f'must be given where {given[0]} is')
        good = all(
            isinstance(step, (list, tuple))
            and len(step) == 2
            and isinstance(step[0], int)
            and isinstance(step[1], (int, float))
            and 0 <= step[1] < math.inf
            for step in steps
        )
        if not good or (steps and [step[0] for step in steps] != sorted({0, *(step[0] for step in steps)})):
            yield _complaint(cfg, key, 'must be [[0, RATE], [EPOCH, RATE], ...], the epochs rising')
    if given and not (cfg.model.name.startswith('paul') and cfg.loss.name != 'paul'):
        yield _complaint(
            cfg, f'paul.supervised.schedule.{given[0]}', "is for PatchNet's pre-training only, take it out"
        )
    if given and cfg.train.staged_lr:
        yield _complaint(cfg, 'train.staged_lr', 'must be False where paul.supervised.schedule is given')
    supervised = cfg.paul.supervised
    if supervised.released and not (cfg.model.name.startswith('paul') and cfg.loss.name == 'triplet'):
        yield _complaint(cfg, 'paul.supervised.released', "needs one of our models and loss.name 'triplet'")
    if supervised.mixup > 0 and not supervised.released:
        yield _complaint(cfg, 'paul.supervised.mixup', 'needs paul.supervised.released True')


def _unknown_transforms(cfg: CfgNode) -> list[str]:
    return [name for name in _transforms(cfg) if name not in TRANSFORMS]


def _sampler_errors(cfg: CfgNode) -> Iterator[str]:
    """Batch sizes that the samplers cannot fill."""
    batch = cfg.train.batch_size
    samplers = ['sampler.train_sampler']
    if cfg.data.load_train_targets:
        samplers.append('sampler.train_sampler_t')
    for key in samplers:
        sampler = value_of(cfg, key)
        instances = cfg.sampler.num_instances
        if sampler == 'RandomIdentitySampler' and batch < instances:
            way_out = f'{key} {sampler} needs at least sampler.num_instances, {instances}'
            yield _complaint(cfg, 'train.batch_size', way_out)
        for name, part in (('RandomDomainSampler', 'num_cams'), ('RandomDatasetSampler', 'num_datasets')):
            share = cfg.sampler[part]
            if sampler == name and share > 0 and batch % share:
                way_out = f'{key} {sampler} needs a multiple of sampler.{part}, {share}'
                yield _complaint(cfg, 'train.batch_size', way_out)


def _process_errors(cfg: CfgNode) -> Iterator[str]:
    """What several processes need."""
    world = number_launched()
    if world > 1 and (cfg.train.batch_size % world or cfg.train.batch_size < 4 * world):
        yield _complaint(
            cfg,
            'train.batch_size',
            f'is shared by {world} processes: it must be a multiple of {world}, of at least 4 images each',
        )


def _combination_errors(cfg: CfgNode) -> Iterator[str]:
    """Values of torchreid's keys that cannot go together, or not on this machine."""
    loss, sgd, synthetic = cfg.loss.name, cfg.sgd, cfg.paul.synthetic
    both = ', '.join(sorted(set(cfg.data.sources) & set(cfg.data.targets)))
    folder = 'folder' in (*cfg.data.sources, *cfg.data.targets)
    # The PGN, a part of our models whatever the loss, convolves a feature map of 1/16 of the image's size by 3x3.
    has_pgn = cfg.model.name.startswith('paul') and cfg.paul.patch_source == 'pgn'
    sides = ('data.height', 'data.width') if has_pgn else ()
    for wrong, key, way_out in (
        (
            cfg.data.load_train_targets and cfg.data.type == 'image' and both,
            'data.load_train_targets',
            f'{both} must not be in both data.sources and data.targets',
        ),
        (
            loss == 'triplet' and cfg.loss.triplet.weight_x == 0 and cfg.train.fixbase_epoch > 0,
            'train.fixbase_epoch',
            'must be 0 while loss.triplet.weight_x is 0, which leaves the classifier untrained',
        ),
        (
            cfg.train.optim == 'sgd' and sgd.nesterov and (sgd.momentum == 0 or sgd.dampening != 0),
            'sgd.nesterov',
            'needs sgd.momentum above 0 and sgd.dampening 0',
        ),
        (
            cfg.data.bad_images == 'skip' and cfg.data.type == 'video',
            'data.bad_images',
            'must be stop for data.type video',
        ),
        (cfg.data.type == 'video' and folder, 'data.type', 'the data set folder holds images'),
        (
            'folder' in cfg.data.sources and loss != 'paul' and not cfg.test.evaluate,
            'data.sources',
            f'the data set folder has no labels, which loss.name {loss} needs: set loss.name paul or take it out',
        ),
        (cfg.test.visrank and not cfg.test.evaluate, 'test.visrank', 'needs test.evaluate True'),
        (
            synthetic.train_ids + synthetic.test_ids > 1501,  # the ids that Market-1501's layout has room for
            'paul.synthetic.train_ids',
            f'must be at most 1501 together with paul.synthetic.test_ids, {synthetic.test_ids}',
        ),
        (
            cfg.train.amp != 'off' and loss != 'paul' and not cfg.paul.supervised.released,
            'train.amp',
            "torchreid's own engines have no mixed precision, set it to off",
        ),
        (cfg.data.k_tfm > 1, 'data.k_tfm', 'every engine needs 1, those of torchreid too'),
        (
            cfg.train.batch_size == 1 and loss != 'paul' and not cfg.test.evaluate,
            'train.batch_size',
            'must be at least 2, a single image has no statistics for BatchNorm',
        ),
        (cfg.use_gpu and not has_gpu(), 'use_gpu', 'torch finds no GPU, set it to False'),
        (
            loss in ('softmax', 'triplet') and SURROGATE in _transforms(cfg),
            'data.transforms',
            f'{SURROGATE} goes with loss.name paul only, take it out',
        ),
        *((0 < value_of(cfg, key) <= 32, key, 'paul.patch_source pgn needs at least 33') for key in sides),
    ):
        if wrong:
            yield _complaint(cfg, key, way_out)


def _paul_errors(cfg: CfgNode) -> Iterator[str]:
    """What the unsupervised loss needs."""
    paul, train = cfg.paul, cfg.train
    for wrong, key, way_out in (
        (cfg.data.type == 'video', 'data.type', 'loss.name paul needs image'),
        (
            SURROGATE not in _transforms(cfg) and not _unknown_transforms(cfg),
            'data.transforms',
            f'loss.name paul needs {SURROGATE} among them',
        ),
        (
            paul.surrogate.hue > 0 and not paul.surrogate.sequence,
            'paul.surrogate.hue',
            'needs paul.surrogate.sequence True',
        ),
        (
            not cfg.model.name.startswith('paul'),
            'model.name',
            "loss.name paul needs one of our models, such as 'paul'",
        ),
        (
            train.batch_size < paul.r + 2,
            'train.batch_size',
            f'cyclic ranking with paul.r {paul.r} needs at least {paul.r + 2}',
        ),
        (
            paul.weight_pedal == paul.weight_ipfl == 0,
            'paul.weight_pedal',
            'must be above 0 while paul.weight_ipfl is 0',
        ),
        (
            train.fixbase_epoch > 0 and set(train.open_layers) <= {'pgn', 'classifier', 'embedding'},
            'train.open_layers',
            "loss.name paul trains none of these: add 'branches' or set train.fixbase_epoch 0",
        ),
    ):
        if wrong:
            yield _complaint(cfg, key, way_out)


def check_config(cfg: CfgNode) -> None:
    """Refuses values out of range and values that cannot go together, before any data are read.

    Names of data sets and, beyond their beginning, of models are left to who knows what is registered.

    Raises:
        UserError: naming each such key, its value and the way out, one line each.
    """
    errors = [
        *_value_errors(cfg),
        *_sampler_errors(cfg),
        *_schedule_errors(cfg),
        *_combination_errors(cfg),
        *_process_errors(cfg),
    ]
    if cfg.loss.name == 'paul':
        errors += _paul_errors(cfg)
    raise_together(errors)
