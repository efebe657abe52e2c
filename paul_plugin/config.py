"""Configuration of a run: torchreid's keys and the `paul` node, the command line, the checks of the values.

torchreid keeps its keys in a script outside its package, so they are defined again here, with the same
defaults.
"""

import math
import os
import sys
from ast import literal_eval
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml
from yacs.config import CfgNode

from .errors import UserError, nearest

Setting = tuple[str, str, object]  # where it was set (`FILE: ` or nothing), key, value as read


def get_default_config() -> CfgNode:
    """A new config that holds every key with its default."""
    return CfgNode(
        {
            'use_gpu': False,  # load_config sets it to whether there is a GPU, unless the user sets it
            'model': {
                'name': 'resnet50',  # a model of torchreid's or of ours
                'pretrained': True,  # start from ImageNet weights
                'load_weights': '',  # file of weights to start from; what does not fit is left out
                'resume': '',  # checkpoint of an interrupted run to go on with
            },
            'data': {
                'type': 'image',  # image | video
                'root': 'reid-data',  # folder that holds the data sets' folders
                'sources': ['market1501'],  # data sets to train on
                'targets': ['market1501'],  # data sets to test on; None: the sources
                'workers': 4,  # processes that load images, 0: none but the main one
                'split_id': 0,  # which of the data set's own splits, for those that have several
                'height': 256,  # pixels of the network's input
                'width': 128,  # the same
                'combineall': False,  # train on query and gallery images too
                'transforms': ['random_flip'],  # augmentation of training images, see TRANSFORMS
                'k_tfm': 1,  # independently augmented copies of each training image
                'norm_mean': [0.485, 0.456, 0.406],  # of RGB, subtracted; None: these, ImageNet's
                'norm_std': [0.229, 0.224, 0.225],  # of RGB, divided by; None: these
                'save_dir': 'log',  # folder of the run's log and checkpoints
                'load_train_targets': False,  # also load the targets' training images
            },
            'market1501': {
                'use_500k_distractors': False,  # enlarge the gallery by the distractor images
            },
            'cuhk03': {
                'labeled_images': False,  # boxes drawn by hand instead of detected ones
                'classic_split': False,  # the 20 splits of CVPR 2014 instead of the 767/700 one
                'use_metric_cuhk03': False,  # single-gallery-shot evaluation, goes with the classic split
            },
            'sampler': {
                'train_sampler': 'RandomSampler',  # order of the sources' images, see SAMPLERS
                'train_sampler_t': 'RandomSampler',  # the same for the targets' training images
                'num_instances': 4,  # RandomIdentitySampler: images of one person in a batch
                'num_cams': 1,  # RandomDomainSampler: cameras in a batch, 0: all
                'num_datasets': 1,  # RandomDatasetSampler: data sets in a batch, 0: all
            },
            'video': {
                'seq_len': 15,  # images taken from a tracklet
                'sample_method': 'evenly',  # how they are taken: evenly | random | all
                'pooling_method': 'avg',  # how their features are joined: avg | max
            },
            'train': {
                'optim': 'adam',  # see OPTIMIZERS
                'lr': 0.0003,  # learning rate at the start
                'weight_decay': 5e-4,  # L2 penalty of the weights
                'max_epoch': 60,  # epochs, those of fixbase_epoch included; 0: no training
                'start_epoch': 0,  # number of the first epoch; set by model.resume
                'batch_size': 32,  # images, or tracklets of videos
                'fixbase_epoch': 0,  # first epochs in which only open_layers are trained
                'open_layers': ['classifier'],  # the model's attributes that are trained in them
                'staged_lr': False,  # train new_layers faster than the others
                'new_layers': ['classifier'],  # the model's attributes that keep the full rate
                'base_lr_mult': 0.1,  # factor of the rate of all other layers
                'lr_scheduler': 'single_step',  # see SCHEDULERS
                'stepsize': [20],  # epochs: the period (single_step) or the milestones (multi_step)
                'gamma': 0.1,  # factor of the rate at a step
                'print_freq': 20,  # batches between two lines of progress
                'seed': 1,  # of every random number generator
            },
            'sgd': {
                'momentum': 0.9,  # rmsprop's as well
                'dampening': 0.0,  # of the momentum
                'nesterov': False,  # Nesterov's momentum
            },
            'rmsprop': {
                'alpha': 0.99,  # smoothing constant
            },
            'adam': {
                'beta1': 0.9,  # decay of the running mean, for amsgrad and radam too
                'beta2': 0.999,  # decay of the running mean of squares
            },
            'loss': {
                'name': 'softmax',  # softmax | triplet (torchreid's, supervised) | paul (unsupervised)
                'softmax': {
                    'label_smooth': True,  # label smoothing
                },
                'triplet': {
                    'margin': 0.3,  # by which a negative is to be farther than a positive
                    'weight_t': 1.0,  # of the triplet loss
                    'weight_x': 0.0,  # of the cross entropy beside it
                },
            },
            'test': {
                'batch_size': 100,  # images, or tracklets of videos
                'dist_metric': 'euclidean',  # euclidean | cosine
                'normalize_feature': False,  # L2-normalise descriptors first
                'ranks': [1, 5, 10, 20],  # ranks of the CMC curve to print
                'evaluate': False,  # only test
                'eval_freq': -1,  # epochs between two tests, -1: one test, after training
                'start_eval': 0,  # epoch before which no test is made
                'rerank': False,  # re-rank by k-reciprocal neighbours; with test.evaluate only
                'visrank': False,  # write pictures of ranked results; with test.evaluate only
                'visrank_topk': 10,  # results in such a picture
            },
            'paul': {
                'num_patches': 6,  # M, patches of an image
                'feature_dim': 256,  # D, length of a patch feature
                'patch_source': 'pgn',  # pgn (learned) | stripe | random (fixed)
                'k': 10,  # PEDAL: nearest neighbours that are drawn near
                'scale': 30.0,  # s of PEDAL
                'momentum': 0.1,  # l, share of a new feature in the memory bank's running average
                'r': 3,  # cyclic ranking: length of the candidate's list that must not hold the anchor
                'margin': 2.0,  # m of IPFL
                'weight_pedal': 2.0,  # lambda, weight of PEDAL in the objective
                'weight_ipfl': 1.0,  # weight of IPFL
                'surrogate': {
                    'crop': [0.7, 0.95],  # smallest and largest share of the area that a crop keeps
                    'rotation': 10.0,  # largest angle, in degrees
                    'jitter': 0.2,  # largest relative change of brightness, contrast or saturation
                },
                # PatchNet's pre-training, with labels
                'supervised': {
                    'released': False,  # the release's loss: sum over the branches, nearest positive
                    'mixup': 0.0,  # alpha of mixup, 0: none; with released only
                    'warmup_epochs': 0,  # epochs in which the learning rate rises from a tenth to the whole
                    # Learning rates by part, [[EPOCH, RATE], ...], from that epoch (of 0, 1, ...) on. Where they are
                    # given, all three are, and train.lr and train.lr_scheduler count for nothing.
                    'schedule': {
                        'heads': [],  # of the branches, their classifiers and embeddings
                        'backbone': [],
                        'pgn': [],  # frozen while it is 0
                    },
                },
                'pretrain': {
                    # Config file of the pre-training stage. A relative path is tried from the working
                    # directory, then from the folder of the file that names it; once loaded it is absolute.
                    'config': '',
                    'opts': [],  # KEY, VALUE, ... that override that file, e.g. ['train.max_epoch', 1]
                },
                'synthetic': {
                    'train_ids': 100,  # people in a rendered training set
                    'test_ids': 50,  # people in query and gallery
                    'images_per_id': 11,  # of each person, over all cameras
                    'seed': -1,  # of the rendering, -1: train.seed
                },
            },
        }
    )


# ---- the keys ----------------------------------------------------------------------------------------------


def all_keys(cfg: CfgNode) -> list[str]:
    """Full names (`train.lr`) of all keys, groups left out."""
    return [
        key
        for name, value in cfg.items()
        for key in ([f'{name}.{rest}' for rest in all_keys(value)] if isinstance(value, CfgNode) else [name])
    ]


def _get(cfg: CfgNode, key: str) -> object:
    for part in key.split('.'):
        cfg = cfg[part]
    return cfg


def _show(value: object) -> str:
    text = repr(value)  # escapes line ends: an error stays one line
    return text if len(text) <= 200 else f'{text[:200]}...'


def _unknown_key(key: object, keys: list[str]) -> str:
    """The complaint about a name that is no key."""
    members = [full for full in keys if full.startswith(f'{key}.')]
    if members:
        return f'{key} is a group of keys: set one of them, such as {members[0]}'
    last = str(key).rpartition('.')[2]
    same_end = [full for full in keys if full.rpartition('.')[2] == last]
    # `max_epoch` for `train.max_epoch` is a frequent slip, too unlike the full name for a search by likeness.
    hint = nearest(str(key), same_end) or (nearest(same_end[0], same_end) if len(same_end) == 1 else '')
    hint = hint or nearest(str(key), keys) or ' (paul_plugin/config.py lists the keys)'
    return f'unknown key {_show(key)}{hint}'


# ---- values from text --------------------------------------------------------------------------------------


def _literal(text: str, listed: bool) -> object:
    """The Python value that the text spells, as in yacs, or the text itself."""
    # A shell turns ['a', 'b'] into [a, b], which is YAML.
    readers = (literal_eval, yaml.safe_load) if listed and text.startswith('[') else (literal_eval,)
    for read in readers:
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, yaml.YAMLError):
            pass
    return text


def _coerce(value: object, default: object) -> object:
    """The value in the type of the default.

    Raises:
        TypeError: if it is of another type.
    """
    literal = _literal(value, isinstance(default, list)) if isinstance(value, str) else value
    if isinstance(default, list):
        items = list(literal) if isinstance(literal, (list, tuple)) else [value]
        return [_coerce(item, default[0]) for item in items] if default else items
    if isinstance(default, str):
        if literal is None and default == '':
            return ''
        if isinstance(value, str):
            return literal if isinstance(literal, str) else value
    elif isinstance(default, bool):
        if isinstance(literal, bool):
            return literal
        if str(value).lower() in ('true', 'false'):
            return str(value).lower() == 'true'
    elif type(literal) is int or type(literal) is type(default):
        try:
            return type(default)(literal)
        except OverflowError:  # an int beyond the floats
            pass
    elif isinstance(default, float) and isinstance(literal, str):
        try:
            return float(literal)  # inf and nan, which check_config refuses with its reason
        except ValueError:
            pass
    raise TypeError


def _expected(default: object) -> str:
    """What a value must be like, for the complaint about another one."""
    if isinstance(default, str):
        return 'expected str: put it in quotes'
    if isinstance(default, list):
        kind = f' of {type(default[0]).__name__}' if default else ''
        return f'expected list{kind}, such as "{default}"'
    return f'expected {type(default).__name__}, such as {default}'


# torchreid takes None here: for no transforms, for ImageNet's statistics (the defaults), for the sources.
_NULLABLE = ('data.transforms', 'data.norm_mean', 'data.norm_std', 'data.targets')


def _merge(cfg: CfgNode, settings: Sequence[Setting]) -> list[str]:
    """Writes the settings into the config, in order; returns what is wrong with them, one line each."""
    errors = []
    defaults = get_default_config()
    keys = all_keys(defaults)
    targets_are_sources = False
    for where, key, value in settings:
        if key not in keys:
            errors.append(where + _unknown_key(key, keys))
            continue
        default = _get(defaults, key)
        unset = key in _NULLABLE and value in (None, 'None')
        if unset:
            value = [] if key == 'data.transforms' else default
        try:
            value = _coerce(value, default)
        except TypeError:
            errors.append(f'{where}{key} = {_show(value)}: {_expected(default)}')
            continue
        if key == 'data.targets':
            targets_are_sources = unset
        if key == 'data.transforms':
            value = [name.lower() for name in value]  # as torchreid reads them
        if key == 'paul.pretrain.config' and value:
            value = os.path.abspath(value)
        group, _, name = key.rpartition('.')
        (_get(cfg, group) if group else cfg)[name] = value
    if targets_are_sources:
        cfg.data.targets = list(cfg.data.sources)
    return errors


def _raise(errors: list[str]) -> None:
    if errors:
        raise UserError('\n'.join(errors))


# ---- arguments of torchreid's classes and functions --------------------------------------------------------


def _data_kwargs(cfg: CfgNode) -> dict[str, object]:
    """What both kinds of data manager take."""
    return {
        'root': cfg.data.root,
        'sources': cfg.data.sources,
        'targets': cfg.data.targets,
        'height': cfg.data.height,
        'width': cfg.data.width,
        'transforms': cfg.data.transforms,
        'norm_mean': cfg.data.norm_mean,
        'norm_std': cfg.data.norm_std,
        'use_gpu': cfg.use_gpu,
        'split_id': cfg.data.split_id,
        'combineall': cfg.data.combineall,
        'batch_size_train': cfg.train.batch_size,
        'batch_size_test': cfg.test.batch_size,
        'workers': cfg.data.workers,
        'num_instances': cfg.sampler.num_instances,
        'num_cams': cfg.sampler.num_cams,
        'num_datasets': cfg.sampler.num_datasets,
        'train_sampler': cfg.sampler.train_sampler,
    }


def imagedata_kwargs(cfg: CfgNode) -> dict[str, object]:
    """Arguments of torchreid's ImageDataManager."""
    return _data_kwargs(cfg) | {
        'k_tfm': cfg.data.k_tfm,
        'load_train_targets': cfg.data.load_train_targets,
        'train_sampler_t': cfg.sampler.train_sampler_t,
        'cuhk03_labeled': cfg.cuhk03.labeled_images,
        'cuhk03_classic_split': cfg.cuhk03.classic_split,
        'market1501_500k': cfg.market1501.use_500k_distractors,
    }


def videodata_kwargs(cfg: CfgNode) -> dict[str, object]:
    """Arguments of torchreid's VideoDataManager."""
    return _data_kwargs(cfg) | {'seq_len': cfg.video.seq_len, 'sample_method': cfg.video.sample_method}


def optimizer_kwargs(cfg: CfgNode) -> dict[str, object]:
    """Arguments of torchreid's build_optimizer, the model apart."""
    return {
        'optim': cfg.train.optim,
        'lr': cfg.train.lr,
        'weight_decay': cfg.train.weight_decay,
        'momentum': cfg.sgd.momentum,
        'sgd_dampening': cfg.sgd.dampening,
        'sgd_nesterov': cfg.sgd.nesterov,
        'rmsprop_alpha': cfg.rmsprop.alpha,
        'adam_beta1': cfg.adam.beta1,
        'adam_beta2': cfg.adam.beta2,
        'staged_lr': cfg.train.staged_lr,
        'new_layers': cfg.train.new_layers,
        'base_lr_mult': cfg.train.base_lr_mult,
    }


def lr_scheduler_kwargs(cfg: CfgNode) -> dict[str, object]:
    """Arguments of torchreid's build_lr_scheduler, the optimizer apart."""
    return {name: cfg.train[name] for name in ('lr_scheduler', 'stepsize', 'gamma', 'max_epoch')}


def engine_run_kwargs(cfg: CfgNode) -> dict[str, object]:
    """Arguments of the `run` of torchreid's engines."""
    train = ('max_epoch', 'start_epoch', 'fixbase_epoch', 'open_layers', 'print_freq')
    test = (
        'start_eval',
        'eval_freq',
        'dist_metric',
        'normalize_feature',
        'visrank',
        'visrank_topk',
        'ranks',
        'rerank',
    )
    return {
        'save_dir': cfg.data.save_dir,
        'test_only': cfg.test.evaluate,
        'use_metric_cuhk03': cfg.cuhk03.use_metric_cuhk03,
        **{name: cfg.train[name] for name in train},
        **{name: cfg.test[name] for name in test},
    }


# ---- files -------------------------------------------------------------------------------------------------


def _flatten(tree: dict, defaults: CfgNode, prefix: str = '') -> Iterator[tuple[object, object]]:
    """Nested keys of a YAML file -> full keys and values. An empty group holds nothing."""
    for name, value in tree.items():
        group = defaults.get(name)
        if isinstance(group, CfgNode) and (value is None or isinstance(value, dict)):
            yield from _flatten(value or {}, group, f'{prefix}{name}.')
        else:
            yield f'{prefix}{name}', value


def _read(path: str) -> list[Setting]:
    """The settings of a YAML file.

    Raises:
        UserError: if it cannot be read or is no YAML mapping.
    """
    # Not yacs's own reader: that one runs a `.py` file.
    try:
        tree = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    except OSError as error:
        others = [other.name for other in Path(path).parent.glob('*')]
        hint = nearest(Path(path).name, others) if isinstance(error, FileNotFoundError) else ''
        raise UserError(f'cannot read the config file {path}: {error.strerror}{hint}') from None
    except UnicodeDecodeError:
        raise UserError(f'cannot read the config file {path}: it is not UTF-8 text') from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2024-99-99
        mark = getattr(error, 'problem_mark', None)
        line = f', line {mark.line + 1}' if mark else ''
        problem = getattr(error, 'problem', None) or str(error).partition('\n')[0]
        raise UserError(f'{path}{line}: not valid YAML: {problem}') from None
    if tree is None:
        return []
    if not isinstance(tree, dict):
        raise UserError(f"{path}: expected keys and values such as 'model: {{name: resnet50}}', got {_show(tree)}")
    settings = []
    for key, value in _flatten(tree, get_default_config()):
        if key == 'paul.pretrain.config' and isinstance(value, str) and not os.path.isfile(value):
            beside = Path(path).parent / value
            value = str(beside) if beside.is_file() else value
        settings.append((f'{path}: ', key, value))
    return settings


def merge_file(cfg: CfgNode, path: str) -> None:
    """Overrides keys by those of a YAML file.

    Raises:
        UserError: if the file cannot be read, or for an unknown key or a value of the wrong type.
    """
    _raise(_merge(cfg, _read(path)))


def merge_opts(cfg: CfgNode, opts: Sequence[object]) -> None:
    """Overrides keys by `[KEY, VALUE, KEY, VALUE, ...]`, the values as Python values or as text.

    Raises:
        UserError: for an unknown key, a key without a value or a value of the wrong type.
    """
    _raise(_opts_errors(cfg, opts))


def _opts_errors(cfg: CfgNode, opts: Sequence[object], where: str = '') -> list[str]:
    errors = _merge(cfg, [(where, key, value) for key, value in zip(opts[::2], opts[1::2], strict=False)])
    if len(opts) % 2:
        errors.append(f'{where}{_show(opts[-1])} is a KEY without a VALUE')
    return errors


# ---- the command line --------------------------------------------------------------------------------------

# Option -> the key it sets, or its own name.
_OPTIONS = {
    '--config-file': 'config_file',
    '-s': 'data.sources',
    '--sources': 'data.sources',
    '-t': 'data.targets',
    '--targets': 'data.targets',
    '--transforms': 'data.transforms',
    '--root': 'data.root',
    '-h': 'help',
    '--help': 'help',
}

_HELP = """\
usage: {prog} [options] [KEY VALUE ...]
{description}
options, in any order, before, between or after the KEY VALUE pairs:
  --config-file FILE      YAML file that sets keys
  -s, --sources NAME ...  data sets to train on (data.sources)
  -t, --targets NAME ...  data sets to test on (data.targets)
  --transforms NAME ...   augmentation of training images (data.transforms)
  --root DIR              folder that holds the data sets' folders (data.root)
  -h, --help              print this text

KEY VALUE pairs win over the options, and these over the file. A list is written "['a', 'b']".
The keys, their meanings and defaults: paul_plugin/config.py.

example:
  python {prog} --config-file FILE.yaml -s market1501 -t market1501 dukemtmcreid train.lr 0.001
"""


def _starts_pair(word: str, cfg: CfgNode) -> bool:
    """Whether a word after `-t a b` is a KEY, misspelt or not; torchreid takes it for one more name."""
    group, dot, _ = word.partition('.')
    return word == 'use_gpu' or bool(dot and nearest(group, cfg))


def _parse(argv: Sequence[str], cfg: CfgNode) -> tuple[dict[str, list[str]], list[Setting], list[str]]:
    """Command line -> values of the options by what they set, KEY VALUE pairs, errors."""
    keys = all_keys(cfg)
    options, pairs, errors = {}, [], []
    names = None  # where names go: the list of the last option, while it is open
    words = deque(argv)
    while words:
        word = words.popleft()
        if word.startswith('-'):
            option, equals, value = word.partition('=')
            # Like argparse, take a long option's beginning if it is the beginning of one only.
            found = [name for name in _OPTIONS if option[:2] == '--' and name.startswith(option)]
            option = found[0] if len(found) == 1 else option
            if option not in _OPTIONS:
                errors.append(f'unknown option {_show(option)}{nearest(option, _OPTIONS)}; see --help')
                names = []  # not reported again, one by one
                continue
            target = _OPTIONS[option]
            names = options[target] = [value] if equals else []
            if target in ('config_file', 'data.root', 'help'):  # one value, even if it looks like a key
                if not equals and words and not words[0].startswith('-') and target != 'help':
                    names.append(words.popleft())
                names = None
        elif names is not None and not _starts_pair(word, cfg):
            names.append(word)
        else:
            names = None
            # The value may begin with one dash: -1.
            if not words or words[0] in keys or words[0] in _OPTIONS or words[0].startswith('--'):
                what = f'{word} is a KEY' if word in keys else f'{_unknown_key(word, keys)}, and it is'
                errors.append(f'{what} without a VALUE')
            else:
                pairs.append(('', word, words.popleft()))
    for option, target in _OPTIONS.items():
        if option.startswith('--') and target != 'help' and options.get(target) == []:
            errors.append(f'option {option} needs a value')
    return options, pairs, errors


def _has_gpu() -> bool:
    import torch  # slow, and needed for nothing else here

    return torch.cuda.is_available()


def load_config(argv: Sequence[str] | None = None, description: str = '') -> CfgNode:
    """The config that a command line asks for: torchreid's options and KEY VALUE pairs, in any order.

    The defaults are overridden by the config file, that by the options, these by the pairs. `--help` prints
    the usage and exits. The values' ranges are left to `check_config`.

    Args:
        argv: the words, by default those of the running program.
        description: what the program does, for `--help`.

    Raises:
        UserError: for everything that is wrong with the command line and the config file, one line each.
    """
    cfg = get_default_config()
    options, pairs, errors = _parse(sys.argv[1:] if argv is None else argv, cfg)
    if 'help' in options:
        about = f'\n{description}\n' if description else ''
        print(_HELP.format(prog=sys.argv[0], description=about), end='')
        raise SystemExit(0)

    settings = []
    for path in filter(None, options.pop('config_file', [])):
        try:
            settings += _read(path)
        except UserError as error:
            errors.append(str(error))
    for key, values in options.items():
        if any(values):  # like torchreid, take an empty value for none
            settings.append(('', key, values[0] if key == 'data.root' else values))
    settings += pairs
    errors += _merge(cfg, settings)
    _raise(errors)
    if not any(key == 'use_gpu' for _, key, _ in settings):
        cfg.use_gpu = _has_gpu()
    return cfg


# ---- checks of the values ----------------------------------------------------------------------------------

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
TRANSFORMS = ('random_flip', 'random_crop', 'random_patch', 'color_jitter', 'random_erase', SURROGATE)

_CHOICES = {
    'data.type': ('image', 'video'),
    'loss.name': ('softmax', 'triplet', 'paul'),
    'train.optim': OPTIMIZERS,
    'train.lr_scheduler': SCHEDULERS,
    'sampler.train_sampler': SAMPLERS,
    'sampler.train_sampler_t': SAMPLERS,
    'video.sample_method': ('evenly', 'random', 'all'),
    'video.pooling_method': ('avg', 'max'),
    'test.dist_metric': ('euclidean', 'cosine'),
    'paul.patch_source': ('pgn', 'stripe', 'random'),
}

# Range in words, its test, the keys.
_RANGES = (
    (
        'at least 0',
        lambda x: x >= 0,
        'data.workers data.split_id train.lr train.weight_decay train.max_epoch train.start_epoch '
        'train.fixbase_epoch train.base_lr_mult train.gamma sgd.momentum rmsprop.alpha loss.triplet.margin '
        'loss.triplet.weight_t loss.triplet.weight_x paul.margin paul.weight_pedal paul.weight_ipfl',
    ),
    (
        'at least 1',
        lambda x: x >= 1,
        'data.height data.width data.k_tfm sampler.num_instances video.seq_len train.batch_size '
        'train.print_freq test.batch_size test.visrank_topk paul.num_patches paul.feature_dim paul.k paul.r',
    ),
    ('above 0', lambda x: x > 0, 'paul.scale'),
    ('at least 0', lambda x: x >= 0, 'paul.supervised.mixup paul.supervised.warmup_epochs'),
    ('above 0 and at most 1', lambda x: 0 < x <= 1, 'paul.momentum'),
    ('from 0 to 1', lambda x: 0 <= x <= 1, 'paul.surrogate.jitter'),
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
    ('must be 3 numbers above 0', lambda x: len(x) == 3 and min(x) > 0, 'data.norm_std'),
    ('must be epochs, at least 1', lambda x: x and min(x) >= 1, 'train.stepsize'),
    ('must be ranks from 1 to 50', lambda x: x and min(x) > 0 and max(x) <= 50, 'test.ranks'),
    (
        'must be two shares, 0 < low <= high <= 1',
        lambda x: len(x) == 2 and 0 < x[0] <= x[1] <= 1,
        'paul.surrogate.crop',
    ),
)


def _complaint(cfg: CfgNode, key: str, way_out: str) -> str:
    return f'{key} = {_show(_get(cfg, key))}: {way_out}'


def _value_errors(cfg: CfgNode) -> Iterator[str]:
    """Values that are wrong whatever the others are."""
    for key, names in _CHOICES.items():
        value = _get(cfg, key)
        if value not in names:
            yield _complaint(cfg, key, f'must be one of {", ".join(names)}{nearest(value, names)}')
    for words, test, keys in _RANGES:
        for key in keys.split():
            value = _get(cfg, key)
            if not (-math.inf < value < math.inf and test(value)):
                finite = ', finite' if isinstance(value, float) else ''
                yield _complaint(cfg, key, f'must be {words}{finite}')
    for words, test, keys in _LISTS:
        for key in keys.split():
            values = _get(cfg, key)
            numbers = [value for value in values if isinstance(value, float)]
            if not (all(map(math.isfinite, numbers)) and test(values)):
                yield _complaint(cfg, key, words)
    for name in _unknown_transforms(cfg):
        # torchreid skips it silently.
        hint = nearest(name, TRANSFORMS)
        yield f'data.transforms = {_show(name)}: must be of {", ".join(TRANSFORMS)}{hint}'
    yield from _opts_errors(get_default_config(), cfg.paul.pretrain.opts, 'paul.pretrain.opts: ')


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
        sampler = _get(cfg, key)
        instances = cfg.sampler.num_instances
        if sampler == 'RandomIdentitySampler' and batch < instances:
            way_out = f'{key} {sampler} needs at least sampler.num_instances, {instances}'
            yield _complaint(cfg, 'train.batch_size', way_out)
        for name, part in (('RandomDomainSampler', 'num_cams'), ('RandomDatasetSampler', 'num_datasets')):
            share = cfg.sampler[part]
            if sampler == name and share > 0 and batch % share:
                way_out = f'{key} {sampler} needs a multiple of sampler.{part}, {share}'
                yield _complaint(cfg, 'train.batch_size', way_out)


def _combination_errors(cfg: CfgNode) -> Iterator[str]:
    """Values of torchreid's keys that cannot go together, or not on this machine."""
    loss, sgd, synthetic = cfg.loss.name, cfg.sgd, cfg.paul.synthetic
    both = ', '.join(sorted(set(cfg.data.sources) & set(cfg.data.targets)))
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
        (cfg.test.visrank and not cfg.test.evaluate, 'test.visrank', 'needs test.evaluate True'),
        (
            synthetic.train_ids + synthetic.test_ids > 1501,  # the ids that Market-1501's layout has room for
            'paul.synthetic.train_ids',
            f'must be at most 1501 together with paul.synthetic.test_ids, {synthetic.test_ids}',
        ),
        (cfg.use_gpu and not _has_gpu(), 'use_gpu', 'torch finds no GPU, set it to False'),
        (
            loss in ('softmax', 'triplet') and SURROGATE in _transforms(cfg),
            'data.transforms',
            f'{SURROGATE} goes with loss.name paul only, take it out',
        ),
        *((0 < _get(cfg, key) <= 32, key, 'paul.patch_source pgn needs at least 33') for key in sides),
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
        (cfg.data.k_tfm > 1, 'data.k_tfm', 'loss.name paul needs 1'),
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
    errors = [*_value_errors(cfg), *_sampler_errors(cfg), *_schedule_errors(cfg), *_combination_errors(cfg)]
    if cfg.loss.name == 'paul':
        errors += _paul_errors(cfg)
    _raise(errors)
