"""Checks of a config's values, before any data are read: ranges, names, and combinations that cannot work."""

import math
from collections.abc import Iterator

from yacs.config import CfgNode

from ..runtime.choices import SURROGATE
from ..runtime.errors import raise_together
from ..runtime.launch import number_launched
from .keys import AUTO, KEYS, TRANSFORMS, all_keys, get_default_config, value_of
from .rules import KINDS, complaint, why_no_camera_pattern
from .settings import has_gpu, opts_errors


def _complaint(cfg: CfgNode, key: str, way_out: str) -> str:
    return complaint(key, value_of(cfg, key), way_out)


def _is_text(value: str) -> bool:
    """Whether a file can be named so and the log can hold it."""
    return '\0' not in value and value == value.encode('utf-8', 'replace').decode()


def _value_errors(cfg: CfgNode) -> Iterator[str]:
    """Values that are wrong whatever the others are."""
    for key in all_keys(cfg):
        value = value_of(cfg, key)
        if isinstance(value, str) and not _is_text(value):
            yield _complaint(cfg, key, 'must be UTF-8 text without null characters')
    for kind in KINDS:
        for key in KEYS:
            if isinstance(key.allowed, kind):
                yield from key.allowed.errors(key.name, value_of(cfg, key.name))
    yield from opts_errors(get_default_config(), cfg.paul.pretrain.opts, 'paul.pretrain.opts: ')


def has_surrogates(cfg: CfgNode) -> bool:
    """Whether each training image comes with its surrogate."""
    return SURROGATE in map(str.lower, cfg.data.transforms)


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


def _torchreid_errors(cfg: CfgNode) -> Iterator[str]:
    """Values of torchreid's keys that cannot go together."""
    both = ', '.join(sorted(set(cfg.data.sources) & set(cfg.data.targets)))
    if cfg.data.load_train_targets and cfg.data.type == 'image' and both:
        yield _complaint(cfg, 'data.load_train_targets', f'{both} must not be in both data.sources and data.targets')
    if cfg.loss.name == 'triplet' and cfg.loss.triplet.weight_x == 0 and cfg.train.fixbase_epoch > 0:
        way_out = 'must be 0 while loss.triplet.weight_x is 0, which leaves the classifier untrained'
        yield _complaint(cfg, 'train.fixbase_epoch', way_out)
    if cfg.train.optim == 'sgd' and cfg.sgd.nesterov and (cfg.sgd.momentum == 0 or cfg.sgd.dampening != 0):
        yield _complaint(cfg, 'sgd.nesterov', 'needs sgd.momentum above 0 and sgd.dampening 0')


def _data_errors(cfg: CfgNode) -> Iterator[str]:
    """Data sets that the rest of the run cannot work with."""
    loss, video, synthetic = cfg.loss.name, cfg.data.type == 'video', cfg.paul.synthetic
    if cfg.data.bad_images == 'skip' and video:
        yield _complaint(cfg, 'data.bad_images', 'must be stop for data.type video')
    if video and 'folder' in (*cfg.data.sources, *cfg.data.targets):
        yield _complaint(cfg, 'data.type', 'the data set folder holds images')
    if 'folder' in cfg.data.sources and loss != 'paul' and not cfg.test.evaluate:
        way_out = f'the data set folder has no labels, which loss.name {loss} needs: set loss.name paul or take it out'
        yield _complaint(cfg, 'data.sources', way_out)
    wrong = cfg.folder.camera and why_no_camera_pattern(cfg.folder.camera)
    if wrong:
        yield _complaint(cfg, 'folder.camera', wrong)
    for key in ('test.centre_cameras', 'test.camera_norms'):
        if not value_of(cfg, key):
            continue
        if loss != 'paul':
            yield _complaint(cfg, key, 'needs loss.name paul: set it to False')
        if len({*cfg.data.sources, *cfg.data.targets}) > 1:
            way_out = (
                'needs data.sources and data.targets to be one and the same data set, whose cameras it compares: set '
                'it to False'
            )
            yield _complaint(cfg, key, way_out)
    if cfg.test.visrank and not cfg.test.evaluate:
        yield _complaint(cfg, 'test.visrank', 'needs test.evaluate True')
    if synthetic.train_ids + synthetic.test_ids > 1501:  # the ids that Market-1501's layout has room for
        way_out = f'must be at most 1501 together with paul.synthetic.test_ids, {synthetic.test_ids}'
        yield _complaint(cfg, 'paul.synthetic.train_ids', way_out)


def _engine_errors(cfg: CfgNode) -> Iterator[str]:
    """What the engine, the machine or the model cannot do."""
    ours = cfg.loss.name == 'paul'
    if cfg.train.amp != 'off' and not ours and not cfg.paul.supervised.released:
        yield _complaint(cfg, 'train.amp', "torchreid's own engines have no mixed precision, set it to off")
    if cfg.train.lr == AUTO and not ours:
        yield _complaint(cfg, 'train.lr', f'is for loss.name paul only, loss.name {cfg.loss.name} needs a number')
    if cfg.data.k_tfm > 1:
        yield _complaint(cfg, 'data.k_tfm', 'every engine needs 1, those of torchreid too')
    if cfg.train.batch_size == 1 and not ours and not cfg.test.evaluate:
        way_out = 'must be at least 2, a single image has no statistics for BatchNorm'
        yield _complaint(cfg, 'train.batch_size', way_out)
    if cfg.use_gpu and not has_gpu():
        yield _complaint(cfg, 'use_gpu', 'torch finds no GPU, set it to False')
    if cfg.loss.name in ('softmax', 'triplet') and has_surrogates(cfg):
        yield _complaint(cfg, 'data.transforms', f'{SURROGATE} goes with loss.name paul only, take it out')
    # The PGN, a part of our models whatever the loss, convolves a feature map of 1/16 of the image's size by 3x3.
    if cfg.model.name.startswith('paul') and cfg.paul.patch_source == 'pgn':
        for key in ('data.height', 'data.width'):
            if 0 < value_of(cfg, key) <= 32:
                yield _complaint(cfg, key, 'paul.patch_source pgn needs at least 33')


def _paul_errors(cfg: CfgNode) -> Iterator[str]:
    """What the unsupervised loss needs."""
    paul, train = cfg.paul, cfg.train
    for wrong, key, way_out in (
        (cfg.data.type == 'video', 'data.type', 'loss.name paul needs image'),
        (
            cfg.sampler.train_sampler == 'RandomIdentitySampler',
            'sampler.train_sampler',
            'makes batches by who is on the images, which loss.name paul is not to know: set RandomSampler',
        ),
        (
            paul.weight_ipfl > 0 and not has_surrogates(cfg) and not TRANSFORMS.unknown(cfg.data.transforms),
            'data.transforms',
            f'loss.name paul needs {SURROGATE} among them, unless paul.weight_ipfl is 0',
        ),
        (
            paul.surrogate.hue > 0 and not paul.surrogate.sequence,
            'paul.surrogate.hue',
            'needs paul.surrogate.sequence True',
        ),
        (
            not cfg.model.name.startswith('paul'),
            'model.name',
            "loss.name paul needs one of our models: 'paul', or 'paul_' and the name of one of torchreid's backbones",
        ),
        (
            train.batch_size < paul.r + 2,
            'train.batch_size',
            f'cyclic ranking with paul.r {paul.r} needs at least {paul.r + 2}',
        ),
        (
            paul.positives != 'patch' and paul.neighbours != 'camera',
            'paul.positives',
            'needs paul.neighbours camera',
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
        *_torchreid_errors(cfg),
        *_data_errors(cfg),
        *_engine_errors(cfg),
        *_process_errors(cfg),
    ]
    if cfg.loss.name == 'paul':
        errors += _paul_errors(cfg)
    raise_together(errors)
