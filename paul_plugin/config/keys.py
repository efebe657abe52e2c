"""The keys of a run, one table: torchreid's keys with its defaults, and the `paul` node of the method.

torchreid keeps its keys in a script outside its package, so they are defined again here. Defaults, checks, what a
resumed run may change, what the pre-training takes over, what a run of the ablation depends on and the printed list
(`tools/main.py --keys`) all come from this table.
"""

import copy

from yacs.config import CfgNode

from ..runtime.choices import PATCH_SOURCES, SURROGATE, TRANSFORMATIONS
from . import rules
from .key import Key, Mark
from .rules import above, at_least, from_to, one_of

AUTO = 'auto'  # for train.lr, which engines/rate.py chooses, and paul.scale, by the number of training images
OPTIMIZERS = one_of('adam', 'amsgrad', 'sgd', 'rmsprop', 'radam')
SCHEDULERS = one_of('single_step', 'multi_step', 'cosine')
SAMPLERS = one_of(
    'RandomIdentitySampler', 'SequentialSampler', 'RandomSampler', 'RandomDomainSampler', 'RandomDatasetSampler'
)
TRANSFORMS = rules.Names(('random_flip', 'random_crop', 'random_patch', 'color_jitter', 'random_erase', SURROGATE))
# Abbreviations for the table.
_FREE, _SAME, _STAGE, _TRANSFER, _WEIGHTS = Mark
_REPORTED = _FREE | _SAME  # neither what is computed nor a result depends on it
_MODEL = _STAGE | _TRANSFER | _WEIGHTS  # other values make another model

# fmt: off
KEYS = (
    Key('use_gpu', False, 'compute on the GPU; where it is not set, if there is one', None, _REPORTED | _STAGE),
    # ---- the model
    Key('model.name', 'resnet50', "a model of torchreid's or of ours", None, _STAGE | _TRANSFER),
    Key('model.pretrained', True, 'start from ImageNet weights', None, _FREE | _STAGE | _TRANSFER),
    Key(
        'model.load_weights', '', 'file of weights to start from; what does not fit is left out',
        None, _FREE | _TRANSFER,
    ),
    Key(
        'model.resume', '',
        'checkpoint of an interrupted run to go on with; auto: the newest one of data.save_dir, if there is one',
        None, _REPORTED | _TRANSFER,
    ),
    # ---- the data
    Key('data.type', 'image', 'what the data sets hold', one_of('image', 'video'), _TRANSFER),
    Key('data.root', 'reid-data', "folder that holds the data sets' folders", None, _REPORTED | _STAGE),
    Key('data.sources', ['market1501'], 'data sets to train on', rules.DATA_SETS),
    Key('data.targets', ['market1501'], 'data sets to test on; None: the sources', rules.DATA_SETS, _TRANSFER),
    Key(
        'data.workers', 4, 'processes that load images, no more than there are cores, 0: none but the main one',
        rules.PROCESSES, _REPORTED | _STAGE,
    ),
    Key('data.split_id', 0, "which of the data set's own splits, for those that have several", at_least(0), _TRANSFER),
    Key('data.height', 256, "pixels of the network's input", rules.SIZE, _STAGE | _TRANSFER),
    Key('data.width', 128, "pixels of the network's input", rules.SIZE, _STAGE | _TRANSFER),
    Key('data.combineall', False, 'train on query and gallery images too'),
    Key('data.transforms', ['random_flip'], 'augmentation of training images; None: none', TRANSFORMS),
    Key('data.k_tfm', 1, 'independently augmented copies of each training image', at_least(1)),
    Key(
        'data.norm_mean', [0.485, 0.456, 0.406], "mean of RGB, subtracted; None: these, ImageNet's",
        rules.THREE_NUMBERS, _TRANSFER,
    ),
    Key(
        'data.norm_std', [0.229, 0.224, 0.225], "standard deviation of RGB, divided by; None: these, ImageNet's",
        rules.THREE_ABOVE_0, _TRANSFER,
    ),
    Key(
        'data.stretch', False,
        'scale grey images of 16 bits, such as thermal ones, each from its darkest to its brightest, not from 0 to '
        '65535',
        None, _STAGE | _TRANSFER,
    ),
    Key('data.save_dir', 'log', "folder of the run's log and checkpoints", None, _REPORTED),
    Key('data.bad_images', 'stop', 'at a training image that cannot be read', one_of('stop', 'skip'), _STAGE),
    Key('data.load_train_targets', False, "also load the targets' training images"),
    Key('market1501.use_500k_distractors', False, 'enlarge the gallery by the distractor images', None, _TRANSFER),
    Key(
        'folder.path', '',
        "folder of the data set `folder`, which is any tree of crops, without labels; '': data.root itself",
        None, _FREE | _STAGE | _TRANSFER,
    ),
    Key(
        'folder.labels', '', 'CSV file `path,pid,camid` of the crops to test on, paths relative to the folder; '
        'without a pid: of a crop to train on, whose camera it tells',
        None, _FREE | _STAGE | _TRANSFER,
    ),
    Key(
        'folder.camera', '',
        "regular expression that finds the camera's name, its one group, in a crop's path within the folder, such as "
        r"'gate(\d+)/'; '': the number after _c, if all names have one",
        None, _STAGE | _TRANSFER,
    ),
    Key(
        'folder.near_copies', 'one',
        'of the training crops of a camera that nearly equal each other, as in the frames of a video: one, or keep all',
        one_of('one', 'keep'), _STAGE | _TRANSFER,
    ),
    Key('cuhk03.labeled_images', False, 'boxes drawn by hand instead of detected ones', None, _TRANSFER),
    Key('cuhk03.classic_split', False, 'the 20 splits of CVPR 2014 instead of the 767/700 one', None, _TRANSFER),
    Key(
        'cuhk03.use_metric_cuhk03', False, 'single-gallery-shot evaluation, goes with the classic split',
        None, _TRANSFER,
    ),
    Key('sampler.train_sampler', 'RandomSampler', "order of the sources' images", SAMPLERS),
    Key('sampler.train_sampler_t', 'RandomSampler', "order of the targets' training images", SAMPLERS),
    Key('sampler.num_instances', 4, 'RandomIdentitySampler: images of one person in a batch', at_least(1)),
    Key('sampler.num_cams', 1, 'RandomDomainSampler: cameras in a batch, 0: all', rules.ANY_NUMBER),
    Key('sampler.num_datasets', 1, 'RandomDatasetSampler: data sets in a batch, 0: all', rules.ANY_NUMBER),
    Key('video.seq_len', 15, 'images taken from a tracklet', rules.SIZE),
    Key('video.sample_method', 'evenly', 'how the images of a tracklet are taken', one_of('evenly', 'random', 'all')),
    Key('video.pooling_method', 'avg', 'how the features of a tracklet are joined', one_of('avg', 'max')),
    # ---- training
    Key('train.optim', 'adam', 'the optimizer', OPTIMIZERS),
    Key(
        'train.lr', 0.0003,
        'learning rate at the start; auto, with loss.name paul: the largest of 0.01, 0.003, ... 0.0001 at which bank '
        'recall stays at 0.8 of its start over up to 30 steps',
        at_least(0, AUTO),
    ),
    Key('train.weight_decay', 5e-4, 'L2 penalty of the weights', at_least(0)),
    Key('train.max_epoch', 60, 'epochs, those of train.fixbase_epoch included; 0: no training', at_least(0), _FREE),
    Key('train.start_epoch', 0, 'number of the first epoch; set by model.resume', at_least(0), _REPORTED),
    Key('train.batch_size', 32, 'images, or tracklets of videos, of all processes together', at_least(1)),
    Key('train.fixbase_epoch', 0, 'first epochs, in which only train.open_layers are trained', at_least(0)),
    Key('train.open_layers', ['classifier'], "the model's attributes that are trained in train.fixbase_epoch"),
    Key('train.staged_lr', False, 'train train.new_layers faster than the others'),
    Key('train.new_layers', ['classifier'], "the model's attributes that keep the full rate, with train.staged_lr"),
    Key('train.base_lr_mult', 0.1, 'factor of the rate of all other layers, with train.staged_lr', at_least(0)),
    Key('train.lr_scheduler', 'single_step', 'how the learning rate changes over the epochs', SCHEDULERS),
    Key('train.stepsize', [20], 'epochs: the period (single_step) or the milestones (multi_step)', rules.EPOCHS),
    Key('train.gamma', 0.1, 'factor of the rate at a step', at_least(0)),
    Key('train.print_freq', 20, 'batches between two lines of progress', at_least(1), _REPORTED),
    Key(
        'train.amp', 'off',
        'mixed precision of our engines (loss.name paul, paul.supervised.released); auto: the fastest on this machine, '
        'where the backbone is timed in each at the start; a resumed run keeps it',
        one_of('off', 'bf16', 'fp16', 'auto'),
    ),
    Key(
        'train.checkpoint_minutes', 5.0, 'minutes between two checkpoints, within an epoch too; 0: after every step',
        at_least(0), _REPORTED | _STAGE,
    ),
    Key(
        'train.keep_checkpoints', 2, 'newest checkpoints that are kept, beside the best by mAP',
        at_least(1), _REPORTED | _STAGE,
    ),
    Key('train.seed', 1, 'seed of every random number generator', rules.SEED, _SAME | _STAGE),
    Key('sgd.momentum', 0.9, "momentum, rmsprop's as well", at_least(0)),
    Key('sgd.dampening', 0.0, 'dampening of the momentum', rules.ANY_NUMBER),
    Key('sgd.nesterov', False, "Nesterov's momentum"),
    Key('rmsprop.alpha', 0.99, 'smoothing constant', at_least(0)),
    Key('adam.beta1', 0.9, 'decay of the running mean, for amsgrad and radam too', rules.SHARE_BELOW_1),
    Key('adam.beta2', 0.999, 'decay of the running mean of squares', rules.SHARE_BELOW_1),
    Key(
        'loss.name', 'softmax', "the loss: softmax and triplet are torchreid's, supervised; paul is unsupervised",
        one_of('softmax', 'triplet', 'paul'),
    ),
    Key('loss.softmax.label_smooth', True, 'label smoothing'),
    Key('loss.triplet.margin', 0.3, 'margin by which a negative is to be farther than a positive', at_least(0)),
    Key('loss.triplet.weight_t', 1.0, 'weight of the triplet loss', at_least(0)),
    Key('loss.triplet.weight_x', 0.0, 'weight of the cross entropy beside the triplet loss', at_least(0)),
    # ---- tests
    Key('test.batch_size', 100, 'images, or tracklets of videos, in a batch', at_least(1), _REPORTED | _TRANSFER),
    Key('test.dist_metric', 'euclidean', 'the distance of descriptors', one_of('euclidean', 'cosine'), _TRANSFER),
    Key('test.normalize_feature', False, 'L2-normalise descriptors first', None, _TRANSFER),
    Key(
        'test.centre_cameras', False,
        "take off each descriptor the mean of its camera, that of the training images without labels", None, _TRANSFER,
    ),
    Key(
        'test.camera_norms', False,
        "describe each image by its camera's BatchNorm statistics, those of the training images without labels", None,
        _TRANSFER,
    ),
    Key('test.ranks', [1, 5, 10, 20], 'ranks of the CMC curve to print', rules.RANKS, _REPORTED | _TRANSFER),
    Key('test.evaluate', False, 'only test', None, _FREE | _TRANSFER),
    Key(
        'test.eval_freq', -1, 'epochs between two tests, -1: one test, after training',
        rules.ANY_NUMBER, _REPORTED | _TRANSFER,
    ),
    Key('test.start_eval', 0, 'epoch before which no test is made', rules.ANY_NUMBER, _REPORTED | _TRANSFER),
    Key(
        'test.rerank', False, 're-rank by k-reciprocal neighbours; with test.evaluate only',
        None, _REPORTED | _TRANSFER,
    ),
    Key(
        'test.visrank', False, 'write pictures of ranked results; with test.evaluate only',
        None, _REPORTED | _TRANSFER,
    ),
    Key('test.visrank_topk', 10, 'results in a picture of test.visrank', at_least(1), _REPORTED | _TRANSFER),
    Key(
        'test.fast_rank', True, "CMC and mAP without torchreid's Python loops, the same to the last digit",
        None, _REPORTED | _STAGE | _TRANSFER,
    ),
    # ---- the method
    Key('paul.num_patches', 6, 'M, patches of an image', rules.SIZE, _MODEL),
    Key('paul.feature_dim', 256, 'D, length of a patch feature', rules.SIZE, _MODEL),
    Key(
        'paul.patch_source', 'pgn', 'where the patches are: learned by the patch generation network (pgn), or fixed',
        one_of(*PATCH_SOURCES), _MODEL,
    ),
    Key(
        'paul.similarity', 'patch',
        'what PEDAL compares: patches, each with its own memory bank, or, for the ablation, whole images',
        one_of('patch', 'image'),
    ),
    Key('paul.k', 10, 'PEDAL: nearest neighbours that are drawn near', at_least(1)),
    Key(
        'paul.neighbours', 'all', 'where PEDAL looks for the nearest: among all images, or among those of each camera',
        one_of('all', 'camera'),
    ),
    Key(
        'paul.k_camera', 0, 'with paul.neighbours camera: nearest neighbours in each, 0: paul.k / cameras, rounded; '
        'with paul.positives reciprocal: paul.k',
        at_least(0),
    ),
    Key(
        'paul.positives', 'patch',
        "what PEDAL pulls nearer: each patch's nearest patches; or, with paul.neighbours camera, for all patches of an "
        'image those of the images that are nearest by the whole descriptor (image), in both directions (mutual), or '
        'that share its paul.k nearest images (reciprocal)',
        one_of('patch', 'image', 'mutual', 'reciprocal'),
    ),
    Key(
        'paul.overlap', 0.6, 'with paul.positives reciprocal: how much of their neighbours two images must share, from '
        '0 to below 1; higher means fewer positives, of which more are right', rules.SHARE_BELOW_1,
    ),
    Key(
        'paul.scale', 30.0, 's, scale of PEDAL; auto: 5 for fewer than 2000 training images, else 10',
        above(0, AUTO),
    ),
    Key('paul.momentum', 0.1, "l, share of a new feature in the memory bank's running average", rules.SHARE_ABOVE_0),
    Key(
        'paul.memory.shard', False, 'with several processes: each holds its share of the memory bank, not all of it',
        None, _REPORTED,
    ),
    Key(
        'paul.bank_dtype', 'float32', 'storage of the memory bank; bfloat16 takes half the memory',
        one_of('float32', 'bfloat16'),
    ),
    Key(
        'paul.ipfl', 'descriptor',
        "IPFL's anchors: the descriptors of real images, or, as in the release, the embeddings of real images and "
        "surrogates against the running mean of each image's (centroid)",
        one_of('descriptor', 'centroid'),
    ),
    Key('paul.max_candidates', 0, 'candidates that an anchor tries in cyclic ranking, 0: all', at_least(0)),
    Key('paul.r', 3, "cyclic ranking: length of the candidate's list that must not hold the anchor", at_least(1)),
    Key('paul.margin', 2.0, 'm, margin of IPFL', at_least(0)),
    Key('paul.weight_pedal', 2.0, 'lambda, weight of PEDAL in the objective', at_least(0)),
    Key(
        'paul.weight_ipfl', 1.0,
        'weight of IPFL; with 0 data.transforms can leave out surrogate_positive: half the images a step',
        at_least(0),
    ),
    Key(
        'paul.collapse_cosine', 0.5, "mean cosine between the bank's descriptors over which a warning is printed",
        from_to(0, 1), _REPORTED,
    ),
    Key(
        'paul.keep', 'last',
        'the model of an unsupervised run: that of the last epoch, or the best by patch agreement, the start '
        'among them, as model/kept.pth.tar',
        one_of('last', 'best'), _FREE,
    ),
    Key(
        'paul.guard', 'warn', 'when bank recall falls below half of its start, as at too high a rate: warn, or stop',
        one_of('warn', 'stop'), _REPORTED,
    ),
    Key(
        'paul.pictures_freq', 0, 'epochs between two sets of pictures in TensorBoard, 0: none; rankings: in tests',
        at_least(0), _REPORTED,
    ),
    Key(
        'paul.surrogate.transforms', ['crop', 'rotation', 'colour'],
        'which transformations there are; []: the image is its own surrogate', rules.some_of(TRANSFORMATIONS),
    ),
    Key('paul.surrogate.crop', [0.7, 0.95], 'smallest and largest share of the area that a crop keeps', rules.SHARES),
    Key('paul.surrogate.rotation', 10.0, 'largest angle of the rotation, in degrees', from_to(0, 180)),
    Key('paul.surrogate.jitter', 0.2, 'largest relative change of brightness, contrast or saturation', from_to(0, 1)),
    Key(
        'paul.surrogate.hue', 0.0, 'largest shift of the hue, share of the circle; with paul.surrogate.sequence only',
        from_to(0, 0.5),
    ),
    Key(
        'paul.surrogate.sequence', False,
        'all transformations one after the other, as in the release, not one at random',
    ),
    Key(
        'paul.supervised.released', False,
        "PatchNet's pre-training, with labels: the release's loss, sum over the branches, nearest positive",
    ),
    Key('paul.supervised.mixup', 0.0, 'alpha of mixup, 0: none; with paul.supervised.released only', at_least(0)),
    Key(
        'paul.supervised.warmup_epochs', 0,
        'epochs in which the learning rate rises from a tenth to the whole', at_least(0),
    ),
    Key(
        'paul.supervised.schedule.heads', [],
        'learning rates of the branches, their classifiers and embeddings, [[EPOCH, RATE], ...], each from that epoch '
        '(of 0, 1, ...) on. Where the rates of one part are given, those of heads, backbone and pgn all are, and '
        'train.lr and train.lr_scheduler count for nothing',
    ),
    Key('paul.supervised.schedule.backbone', [], 'learning rates of the backbone, like those of the heads'),
    Key(
        'paul.supervised.schedule.pgn', [],
        'learning rates of the patch generation network, like those of the heads; frozen while it is 0',
    ),
    Key(
        'paul.pretrain.config', '',
        'config file of the pre-training stage. A relative path is tried from the working directory, then from the '
        'folder of the file that names it; once loaded it is absolute',
        None, _REPORTED | _WEIGHTS,
    ),
    Key(
        'paul.pretrain.opts', [],
        "KEY, VALUE, ... that override the file paul.pretrain.config, e.g. ['train.max_epoch', 1]",
        None, _REPORTED | _WEIGHTS,
    ),
    Key('paul.synthetic.train_ids', 100, 'people in a rendered training set', from_to(2, 1499), _STAGE | _TRANSFER),
    Key('paul.synthetic.test_ids', 50, 'people in query and gallery', from_to(2, 1499), _STAGE | _TRANSFER),
    Key(
        'paul.synthetic.images_per_id', 11, 'images of each person, over all cameras',
        from_to(4, 600), _STAGE | _TRANSFER,
    ),
    Key('paul.synthetic.seed', -1, 'seed of the rendering, -1: train.seed', rules.SEED_OR_NONE, _STAGE | _TRANSFER),
)
# fmt: on


def marked(mark: Mark) -> frozenset[str]:
    """The names of the keys with this mark."""
    return frozenset(key.name for key in KEYS if mark in key.marks)


def get_default_config() -> CfgNode:
    """A new config that holds every key with its default."""
    tree = {}
    for key in KEYS:
        *groups, name = key.name.split('.')
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
        node[name] = copy.deepcopy(key.default)
    return CfgNode(tree)


def all_keys(cfg: CfgNode) -> list[str]:
    """Full names (`train.lr`) of all keys, groups left out."""
    return [
        key
        for name, value in cfg.items()
        for key in ([f'{name}.{rest}' for rest in all_keys(value)] if isinstance(value, CfgNode) else [name])
    ]


def value_of(cfg: CfgNode, key: str) -> object:
    """The value of a key by its full name."""
    for part in key.split('.'):
        cfg = cfg[part]
    return cfg


def set_value(cfg: CfgNode, key: str, value: object) -> None:
    """Sets a key by its full name."""
    group, _, name = key.rpartition('.')
    (value_of(cfg, group) if group else cfg)[name] = value
