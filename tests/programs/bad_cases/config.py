"""Bad words and config files."""

import os

from programs.bad_cases.case import CANARY, SOFTMAX, Case, nothing
from programs.bad_cases.files import unreadable, write
from programs.bad_cases.limits import as_another_user, no_gpu


def file(about: str, content: str | bytes, expected: str) -> Case:
    """A bad config file."""
    return Case(f'config file: {about}', '--config-file HERE/bad.yaml', expected, prepare=write('bad.yaml', content))


EVIL = 'a\x1b[31m\nerror: forged'
SHOWN = r"'HERE/a\\x1b\[31m\\nerror: forged'"  # what is said of it: one line, without the escape

CONFIG = [
    Case('unknown key', 'train.lrr 0.1', r"unknown key 'train\.lrr' \(did you mean 'train\.lr'\?\)"),
    Case('key without its group', 'max_epoch 1', "did you mean 'train.max_epoch'"),
    Case('group of keys', 'loss triplet', 'loss is a group of keys: set one of them, such as loss.name'),
    Case('KEY without VALUE', 'train.lr', 'train.lr is a KEY without a VALUE'),
    Case('option without value', '--root', 'option --root needs a value'),
    Case('unknown option', '--rot x', "unknown option '--rot'.*did you mean '--root'"),
    Case('wrong type', 'train.max_epoch 1.5', "train.max_epoch = '1.5': expected int, such as 60"),
    Case('several errors', 'train.lrr 1 train.lr fast', r"(?s)unknown key 'train\.lrr'.*train\.lr = 'fast'"),
    Case('out of range', 'paul.momentum 1.5', 'paul.momentum = 1.5: must be above 0 and at most 1'),
    Case('not a number', 'train.lr nan', 'train.lr = nan: must be at least 0, finite'),
    Case('auto with labels', f'{SOFTMAX} train.lr auto', "train.lr = 'auto': is for loss.name paul only"),
    Case('negative seed', 'train.seed -1', 'train.seed = -1: must be from 0 to 4294967295'),
    Case('too large an integer', 'train.seed 99999999999999999999', 'train.seed = 9+: must be from 0'),
    Case('unknown choice', 'test.dist_metric cosin', "test.dist_metric = 'cosin'.*did you mean 'cosine'"),
    Case('unknown model', 'model.name paul_resnet19', "'paul_resnet19'.*did you mean 'paul_resnet18'"),
    Case('unknown transform', '--transforms surrogate_positiv', "did you mean 'surrogate_positive'"),
    Case('no regular expression', "folder.camera '(c'", r"folder.camera = '\(c': is no regular expression \(missing"),
    Case('no group', 'folder.camera c', r"folder.camera = 'c': must have one group, \(...\), which holds the camera's"),
    Case('both weights 0', 'paul.weight_pedal 0 paul.weight_ipfl 0', 'must be above 0 while paul.weight_ipfl is 0'),
    Case('batch too small for r', 'train.batch_size 3', 'train.batch_size = 3.*needs at least 4'),
    Case('batch of 10^9', 'train.batch_size 1000000000', 'do not make one batch of train.batch_size 1000000000'),
    Case('image of 10^9 pixels', 'data.height 1000000000', 'data.height = 1000000000: must be'),
    Case('10^6 workers', 'data.workers 1000000', 'data.workers = 1000000: must be'),
    Case('10^9 features', 'paul.feature_dim 1000000000', 'paul.feature_dim = 1000000000: must be'),
    Case('beyond float32', 'train.lr 1e300', 'train.lr = 1e.300: must be at least 0, finite in float32'),
    Case('batch of one', f'{SOFTMAX} train.batch_size 1', 'train.batch_size = 1: must be at least 2'),
    Case('several copies of an image', f'{SOFTMAX} data.k_tfm 2', 'data.k_tfm = 2: every engine needs 1'),
    Case('centring of a supervised job', f'{SOFTMAX} test.centre_cameras True', 'cameras = True: needs loss.name'),
    Case(
        "centring by another data set's cameras",
        '-s synthetic_source test.centre_cameras True',
        'test.centre_cameras = True: needs data.sources and data.targets to be one and the same data set',
    ),
    Case(
        'image smaller than the model takes',
        f'{SOFTMAX} data.height 8 data.width 8',
        'osnet_x0_25 cannot take images of data.height 8, data.width 8',
    ),
    Case(
        'GPU where there is none', 'use_gpu True', 'use_gpu = True: torch finds no GPU, set it to False', limit=no_gpu
    ),
    Case(
        'mixed precision of another name',
        'train.amp int8',
        "train.amp = 'int8': must be one of off, bf16, fp16, auto",
    ),
    Case(
        "the fastest precision, torchreid's engines",
        f'{SOFTMAX} train.amp auto',
        "train.amp = 'auto': torchreid's own engines have no mixed precision, set it to off",
    ),
    Case(
        'layer that the model lacks',
        'train.fixbase_epoch 1 train.open_layers [branchs]',
        "train.open_layers: paul_osnet_x0_25 has no layer 'branchs' .did you mean 'branches'",
    ),
    file('missing', '', 'cannot read the config file HERE/bad.yaml: No such file')._replace(prepare=nothing),
    file('nearest name', '', "did you mean 'bad1.yaml'")._replace(prepare=write('bad1.yaml', '')),
    file('a folder', '', 'bad.yaml: Is a directory')._replace(prepare=lambda here: (here / 'bad.yaml').mkdir()),
    file('a pipe', '', 'bad.yaml: ')._replace(prepare=lambda here: os.mkfifo(here / 'bad.yaml')),
    file('endless', '', '/dev/zero')._replace(words='--config-file /dev/zero'),
    file('no permission', '', 'bad.yaml: Permission denied')._replace(
        prepare=lambda here: unreadable(here / 'bad.yaml', b''), limit=as_another_user
    ),
    file('broken YAML', 'train:\n  lr: [0.1\n', 'bad.yaml, line 3: not valid YAML'),
    file('a list', '- train.lr\n- 0.1\n', 'bad.yaml: expected keys and values'),
    file('binary', bytes(range(256)), 'bad.yaml: it is not UTF-8 text'),
    file('runs a command', f'train: {CANARY}', 'bad.yaml, line 1: not valid YAML: could not determine a constructor'),
    file('more aliases than a config has', f'train: {{lr: [&a x{", *a" * 9}]}}', 'not valid YAML: too many aliases'),
    file('a group twice', 'train: {lr: 0.5}\ntrain: {max_epoch: 2}', 'line 2: not valid YAML: train stands twice'),
    file('nested too deeply', '[' * 100_000, 'bad.yaml: '),
    file('null character in a path', r'model: {resume: "a\0b"}', r'model.resume = .a\\x00b.: must be UTF-8 text'),
    file(
        'half a character in a path', r'model: {resume: "a\ud800b"}', r'model.resume = .a\\ud800b.: must be UTF-8 text'
    ),
    file('a name that forges a line', '', f'^error: {SHOWN}, line 1: not valid YAML: .*$')._replace(
        words=f'--config-file "HERE/{EVIL}"', prepare=write(EVIL, 'train: [1')
    ),
    Case(
        'persons in the batches of the unsupervised stage',
        'sampler.train_sampler RandomIdentitySampler sampler.num_instances 3',
        "sampler.train_sampler = 'RandomIdentitySampler': ",
    ),
    Case(
        'RANK that is no number',
        '',
        "the environment says RANK='abc', expected a whole number: start the processes with torchrun, or unset RANK",
        limit=lambda here: os.environ.update(RANK='abc', WORLD_SIZE='2'),
    ),
    Case('config file of the pre-training: missing', 'paul.pretrain.config HERE/no.yaml', 'HERE/no.yaml: No such file'),
    Case(
        'config file of the pre-training: unknown key',
        'paul.pretrain.config HERE/bad.yaml',
        'bad.yaml: unknown key .train.lrr',
        prepare=write('bad.yaml', 'train: {lrr: 1}'),
    ),
]
