"""Gives the job bad inputs, each in a process of its own, and shows what it says to each in a table.

A program; `test_bad_inputs.py` runs it and checks every row:

    python tests/programs/bad_inputs.py
"""

import argparse
import contextlib
import ctypes
import hashlib
import json
import multiprocessing
import os
import re
import resource
import shlex
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torchreid
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))  # this program is run by its path, too
from helpers.bad_weights import bad_files
from programs.kill_and_resume import PROJECT, kill, run

from paul_plugin.data.synthetic.render import render

SECONDS = 10  # that a run may take, from the fork

# HERE is the folder of the case; SHARED holds the data set and the log of a run of two epochs.
BASE = f"""
    --config-file {PROJECT}/configs/paul_synthetic.yaml --root SHARED/reid-data -s market1501 -t market1501
    data.save_dir HERE/log data.workers 0 data.height 48 data.width 48 use_gpu False
    paul.pretrain.config '' paul.k 3 paul.r 2 paul.feature_dim 8
    train.batch_size 6 train.max_epoch 1 train.stepsize [1] train.checkpoint_minutes 0 train.keep_checkpoints 9
"""


def nothing(*arguments) -> None:
    """Neither files to prepare nor a limit."""


class Case(NamedTuple):
    """A bad input.

    Attributes:
        about: what is bad, for the table.
        words: the command line after BASE.
        expected: what standard error says; where the run goes to its end, what it prints. A regular expression.
        status: the exit status.
        prepare: makes the files of the case in its folder.
        limit: called in the run's process, with the case's folder, before it starts.
        writes: what the run may make or change in data.save_dir, a regular expression.
    """

    about: str
    words: str
    expected: str
    status: int = 2
    prepare: Callable[[Path], object] = nothing
    limit: Callable[[Path], object] = nothing
    writes: str = r'(train|test)\.log.*'


class NotPossible(Exception):
    """A case that this user cannot make: it is left out."""


class Outcome(NamedTuple):
    """What a run did; `status` is None if it was killed after SECONDS."""

    status: int | None
    seconds: float
    out: str
    err: str
    changed: list[str]


def ends_well(about: str, words: str, expected: str, **options) -> Case:
    """An input that is odd but good: the run goes to its end."""
    return Case(about, words, expected, **{'status': 0, 'writes': '.*', **options})


# ---- what a case is made of ----------------------------------------------------------------------------------------

TRAIN, QUERY, GALLERY = 'bounding_box_train', 'query', 'bounding_box_test'
IMAGES = 'reid-data/market1501/Market-1501-v15.09.15'


def together(*steps: Callable[[Path], object]) -> Callable[[Path], None]:
    def prepare(here: Path) -> None:
        for step in steps:
            step(here)

    return prepare


def write(name: str, content: str | bytes) -> Callable[[Path], object]:
    def prepare(here: Path) -> None:
        text = content.replace('HERE', str(here)).encode() if isinstance(content, str) else content
        (here / name).write_bytes(text)

    return prepare


def copy(name: str) -> Callable[[Path], object]:
    """Copies a folder of SHARED."""
    return lambda here: shutil.copytree(here.parent / 'shared' / name, here / name)


def data(step: Callable[[Path], object]) -> Callable[[Path], None]:
    """Copies the data set and changes it; the case needs `--root HERE/reid-data`."""
    return together(copy('reid-data'), lambda here: step(here / IMAGES))


def keep(part: str, count: int) -> Callable[[Path], None]:
    """Leaves so many images in a part of the data set."""

    def change(images: Path) -> None:
        for path in sorted((images / part).iterdir())[count:]:
            path.unlink()

    return change


def replace(part: str, *makers: Callable[[Path], object]) -> Callable[[Path], None]:
    """Puts bad files in the place of a part's first images."""

    def change(images: Path) -> None:
        for path, make in zip(sorted((images / part).iterdir()), makers):
            content = path.read_bytes()
            path.unlink()
            make(path, content)

    return change


def picture(mode: str, size: tuple[int, int], file_format: str) -> Callable[[Path, bytes], object]:
    return lambda path, content: Image.new(mode, size).save(path, file_format)


def grey16(path: Path, content: bytes) -> None:
    values = np.linspace(0, 65535, 48 * 24).astype(np.uint16).reshape(48, 24)
    Image.fromarray(values).save(path, 'PNG')


def damaged_png(path: Path, content: bytes) -> None:
    """Good at its start and its end."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 24, 3), np.uint8))
    image.save(path, 'PNG')
    good = path.read_bytes()
    middle = len(good) // 2
    path.write_bytes(good[:middle] + bytes(200) + good[middle + 200 :])


def unreadable(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0)


def as_another_user(here: Path) -> None:
    """Takes root's right to read and write everything (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH) from this process."""
    header = struct.pack('Ii', 0x20080522, 0)  # version 3 of the interface, this process
    rights = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; each in two halves
    libc = ctypes.CDLL(None)
    libc.capget(header, rights)
    rights[0] &= ~0b110
    libc.capset(header, rights)


def no_gpu(here: Path) -> None:
    os.environ['CUDA_VISIBLE_DEVICES'] = ''


def small_files(here: Path) -> None:
    """No file may become larger than a third of a checkpoint. Python ignores the signal, the write fails."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


def little_memory(here: Path) -> None:
    """A quarter of a gigabyte more than the process has."""
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    limit = pages * resource.getpagesize() + (1 << 28)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def read_only(here: Path) -> None:
    (here / 'log').mkdir(mode=0o555)


def no_network(here: Path) -> None:
    """Nothing answers, and nothing was fetched before."""
    os.environ.update(https_proxy='http://127.0.0.1:9', http_proxy='http://127.0.0.1:9', TORCH_HOME=f'{here}/log/torch')


def mount(here: Path) -> None:
    """Mounts a disk of 5 MB at HERE/log: room for one checkpoint, not for two."""
    (here / 'log').mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', 'size=5m', 'bad_inputs', here / 'log']
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        raise NotPossible from None


def small_disk(here: Path) -> None:
    mount(here)
    (here / 'log/model').mkdir()
    shutil.copy(here.parent / 'shared/log/model/model.pth.tar-1', here / 'log/model')


def full_disk(here: Path) -> None:
    mount(here)
    write('log/other', bytes(5 << 20))(here)


def change_checkpoint(change: Callable[[dict], object]) -> Callable[[Path], None]:
    """Makes HERE/changed.pth of the shared run's first checkpoint."""

    def prepare(here: Path) -> None:
        checkpoint = torch.load(here.parent / 'shared/log/model/model.pth.tar-1', weights_only=True)
        checkpoint = change(checkpoint) or checkpoint
        checkpoint['config'] = checkpoint.get('config', '').replace('HERE', str(here))  # for CANARY
        torch.save(checkpoint, here / 'changed.pth')

    return prepare


def cut(name: str, kept: float) -> Callable[[Path], None]:
    def prepare(here: Path) -> None:
        os.truncate(here / name, int((here / name).stat().st_size * kept))

    return prepare


# ---- the cases -----------------------------------------------------------------------------------------------------

SOFTMAX = 'model.name osnet_x0_25 loss.name softmax --transforms random_flip'  # torchreid's own job
CANARY = "!!python/object/apply:os.mkdir ['HERE/executed']"
BOMB = '&a0 [x, x], ' + ', '.join(f'&a{n} [{", ".join([f"*a{n - 1}"] * 9)}]' for n in range(1, 12))


def file(about: str, content: str | bytes, expected: str) -> Case:
    """A bad config file."""
    return Case(f'config file: {about}', '--config-file HERE/bad.yaml', expected, prepare=write('bad.yaml', content))


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
    Case('negative seed', 'train.seed -1', 'train.seed = -1: must be from 0 to 4294967295'),
    Case('too large an integer', 'train.seed 99999999999999999999', 'train.seed = 9+: must be from 0'),
    Case('unknown choice', 'test.dist_metric cosin', "test.dist_metric = 'cosin'.*did you mean 'cosine'"),
    Case('unknown model', 'model.name paul_resnet19', "'paul_resnet19'.*did you mean 'paul_resnet18'"),
    Case('unknown transform', '--transforms surrogate_positiv', "did you mean 'surrogate_positive'"),
    Case('both weights 0', 'paul.weight_pedal 0 paul.weight_ipfl 0', 'must be above 0 while paul.weight_ipfl is 0'),
    Case('batch too small for r', 'train.batch_size 3', 'train.batch_size = 3.*needs at least 4'),
    Case('batch of 10^9', 'train.batch_size 1000000000', 'do not make one batch of train.batch_size 1000000000'),
    Case('image of 10^9 pixels', 'data.height 1000000000', 'data.height = 1000000000: must be'),
    Case('10^6 workers', 'data.workers 1000000', 'data.workers = 1000000: must be'),
    Case('10^9 features', 'paul.feature_dim 1000000000', 'paul.feature_dim = 1000000000: must be'),
    Case('beyond float32', 'train.lr 1e300', 'train.lr = 1e.300: must be at least 0, finite in float32'),
    Case('batch of one', f'{SOFTMAX} train.batch_size 1', 'train.batch_size = 1: must be at least 2'),
    Case('several copies of an image', f'{SOFTMAX} data.k_tfm 2', 'data.k_tfm = 2: every engine needs 1'),
    Case(
        'image smaller than the model takes',
        f'{SOFTMAX} data.height 8 data.width 8',
        'osnet_x0_25 cannot take images of data.height 8, data.width 8',
    ),
    Case(
        'GPU where there is none', 'use_gpu True', 'use_gpu = True: torch finds no GPU, set it to False', limit=no_gpu
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
    file('aliases that grow to 10^11 words', f'train: {{lr: [{BOMB}]}}', 'train.lr = .*expected float'),
    file('nested too deeply', '[' * 100_000, 'bad.yaml: '),
    file('null character in a path', r'model: {resume: "a\0b"}', r'model.resume = .a\\x00b.: must be UTF-8 text'),
    file(
        'half a character in a path', r'model: {resume: "a\ud800b"}', r'model.resume = .a\\ud800b.: must be UTF-8 text'
    ),
    Case('config file of the pre-training: missing', 'paul.pretrain.config HERE/no.yaml', 'HERE/no.yaml: No such file'),
    Case(
        'config file of the pre-training: unknown key',
        'paul.pretrain.config HERE/bad.yaml',
        'bad.yaml: unknown key .train.lrr',
        prepare=write('bad.yaml', 'train: {lrr: 1}'),
    ),
]
# HERE/reid-data is the data set, changed by `prepare`.
OWN = '--root HERE/reid-data '

DATA = [
    Case('unknown data set', '-s market1051', "unknown image data set 'market1051' .did you mean 'market1501'"),
    Case('missing data set', '-s cuhk03', "'cuhk03' is not there: expected the folder SHARED/reid-data/cuhk03"),
    Case(
        'root is a file', '--root HERE/file', 'expected the folder HERE/file/market1501', prepare=write('file', 'text')
    ),
    Case(
        'empty data set folder',
        OWN,
        'cannot read the data of market1501',
        prepare=lambda here: (here / 'reid-data/market1501').mkdir(parents=True),
    ),
    Case(
        'file name that is not in the layout',
        OWN,
        'holiday.jpg',
        prepare=data(lambda images: shutil.copy(next((images / TRAIN).iterdir()), images / TRAIN / 'holiday.jpg')),
    ),
    Case('no training images', OWN, 'no train', prepare=data(keep(TRAIN, 0))),
    Case('no query images', OWN, 'no query', prepare=data(keep(QUERY, 0))),
    Case('no gallery images', OWN, 'no gallery', prepare=data(keep(GALLERY, 0))),
    Case('no more images than k', 'paul.k 12', 'k=12 needs more than k training images, got 12: lower k'),
    Case('fewer images than a batch', OWN, '5 training images do not make one batch', prepare=data(keep(TRAIN, 5))),
    Case('the same data set twice', '-s market1501 market1501', 'listed twice: .*jpg'),
    ends_well(
        'the same file under two names',
        OWN,
        'Written to',
        prepare=data(replace(TRAIN, lambda path, content: path.symlink_to(path.with_name('0002_c2s1_000005_01.jpg')))),
    ),
]

# What is bad -> (makes it in the place of a good image, the reason that is given).
BAD_IMAGES = {
    'truncated JPEG': (lambda path, content: path.write_bytes(content[: len(content) // 2]), 'it is damaged'),
    'zero bytes': (lambda path, content: path.touch(), 'it is empty .0 bytes.'),
    'text named .jpg': (lambda path, content: path.write_text('no image\n' * 99), 'it is no image of a known format'),
    '1x1': (picture('RGB', (1, 1), 'JPEG'), 'it is 1x1 pixels, no crop of a person'),
    '20,000x10': (picture('RGB', (20_000, 10), 'JPEG'), 'it is 20000x10 pixels'),
    '10^9 pixels in 1 kB': (
        lambda path, content: path.write_bytes(b'P6 32000 32000 255\n' + bytes(1000)),
        'it has more than',
    ),
    'PostScript, a program': (
        lambda path, content: path.write_text('%!PS-Adobe-3.0 EPSF-3.0\n'),
        'it is no image of a known format',
    ),
    'a folder': (lambda path, content: path.mkdir(), 'it is a folder'),
    'a pipe': (lambda path, content: os.mkfifo(path), 'it is a pipe or a device'),
    'link to nothing': (lambda path, content: path.symlink_to('nowhere.jpg'), 'it is a link to a file that does not'),
    'no permission': (unreadable, 'no permission to read it'),
}
ODD_IMAGES = {
    'CMYK': picture('CMYK', (24, 48), 'JPEG'),
    'grey': picture('L', (24, 48), 'JPEG'),
    '16-bit grey': grey16,
    'palette with transparency': picture('P', (24, 48), 'PNG'),
    'in a file that is not named in UTF-8': lambda path, content: Path(
        os.fsdecode(os.fsencode(path.with_suffix('')) + b'\xff.jpg')
    ).write_bytes(content),
}

IMAGES_CASES = [
    *(
        Case(
            f'{name}, in train',
            OWN,
            f'1 of 12 train images cannot be read: data.bad_images skip leaves them out\nerror: .*jpg: {reason}',
            prepare=data(replace(TRAIN, make)),
            limit=as_another_user,
        )
        for name, (make, reason) in BAD_IMAGES.items()
    ),
    *(
        Case(
            f'{name}, in {part}',
            f'{OWN} data.bad_images skip',
            f'1 of 4 {part} images cannot be read: replace them or take them out\nerror: .*jpg: {reason}',
            prepare=data(replace(folder, make)),
            limit=as_another_user,
        )
        for part, folder in (('query', QUERY), ('gallery', GALLERY))
        for name, (make, reason) in list(BAD_IMAGES.items())[:2]
    ),
    ends_well(
        'four bad ones in train, data.bad_images skip',
        f'{OWN} data.bad_images skip',
        '(?s)(4 training images were left out .data.bad_images skip.:(\n  [^\n]*jpg: it is [^\n]*){4}.*){2}Results on',
        prepare=data(replace(TRAIN, damaged_png, *(make for make, _ in list(BAD_IMAGES.values())[:3]))),
    ),
    Case(
        'all bad, data.bad_images skip',
        f'{OWN} data.bad_images skip',
        'not one training image can be read',
        prepare=data(replace(TRAIN, *[BAD_IMAGES['zero bytes'][0]] * 12)),
    ),
    Case(
        'too many bad, data.bad_images skip',
        f'{OWN} data.bad_images skip',
        '5 training images do not make one batch of train.batch_size 6',
        prepare=data(replace(TRAIN, *[BAD_IMAGES['zero bytes'][0]] * 7)),
    ),
    *(
        Case(
            f'damaged in the middle, found when it is read, {workers} workers',
            f'{OWN} data.workers {workers}',
            r'^error: bad image \S*jpg: it is damaged .*: replace it or take it out of the data set$',
            prepare=data(replace(TRAIN, damaged_png)),
            writes='.*',
        )
        for workers in (0, 1)
    ),
    Case(
        'damaged in the middle, in query',
        OWN,
        r'^error: bad image \S*query\S*jpg: it is damaged',
        prepare=data(replace(QUERY, damaged_png)),
        writes='.*',
    ),
    *(
        ends_well(f'{name}, in train', OWN, 'Written to', prepare=data(replace(TRAIN, make)))
        for name, make in ODD_IMAGES.items()
    ),
]

WEIGHTS = [
    Case('missing', 'model.load_weights HERE/no.pth', 'no weight file at HERE/no.pth'),
    Case('a folder', 'model.load_weights HERE', 'HERE'),
    Case('a pipe', 'model.load_weights HERE/pipe', 'HERE/pipe', prepare=lambda here: os.mkfifo(here / 'pipe')),
    Case('unknown name', 'model.load_weights paul_msmt17_relase', "did you mean 'paul_msmt17_release'"),
    *(
        Case(
            f"{about}, torchreid's model", f'{SOFTMAX} model.load_weights {path}', 'holds the weights of another model'
        )
        for about, path in (
            ('another model', "'SHARED/bad/another model.pth'"),
            ('our model', 'SHARED/log/model/model.pth.tar-1'),
        )
    ),
    *(
        Case(
            f'no network, {about}',
            f'{words} model.pretrained True',
            expected,
            limit=no_network,
            writes=r'(train|test)\.log.*|torch.*',
        )
        for about, words, expected in (
            ('our model', 'model.name paul_resnet18', 'no ImageNet weights for resnet18 .*: it starts from random'),
            (
                "torchreid's model",
                f'{SOFTMAX} model.name resnet18',
                'no ImageNet weights for resnet18 .*: it starts from random',
            ),
            (
                "torchreid's other way to fetch",
                SOFTMAX,
                'no ImageNet weights for osnet_x0_25 .*HERE/log/torch/checkpoints/osnet_x0_25_imagenet.pth',
            ),
            ("the authors' weights", 'model.load_weights paul_msmt17_release', 'cannot fetch paul_msmt17_release from'),
        )
    ),
    Case(
        'no permission',
        'model.load_weights HERE/bad.pth',
        'no permission to read HERE/bad.pth',
        prepare=lambda here: unreadable(here / 'bad.pth', b'PK'),
        limit=as_another_user,
    ),
]

TWO = 'train.max_epoch 2 '
AUTO = f'{TWO} model.resume auto'
RESUME = [
    Case('missing', f'{TWO} model.resume HERE/no.pth', 'HERE/no.pth'),
    Case('a pipe', f'{TWO} model.resume HERE/pipe', 'HERE/pipe', prepare=lambda here: os.mkfifo(here / 'pipe')),
    Case('endless', f'{TWO} model.resume /dev/zero', '/dev/zero'),
    Case(
        'another model',
        f'{TWO} model.resume SHARED/log/model/model.pth.tar-1 model.name paul_resnet18',
        "tar-1 is of a run with other settings .model.resume.: model.name from 'paul_osnet_x0_25' to 'paul_resnet18'",
    ),
    Case('another learning rate', f'{AUTO} train.lr 0.5', 'train.lr from 0.01 to 0.5', prepare=copy('log')),
    Case(
        'another number of images',
        f'{OWN} {AUTO}',
        'does not fit this run .model.resume.: it is of other training images',
        prepare=together(copy('log'), data(keep(TRAIN, 11))),
    ),
    Case(
        'as many other images',
        f'{OWN} {AUTO}',
        'does not fit this run .model.resume.: it is of other training images',
        prepare=together(
            copy('log'),
            data(lambda images: next((images / TRAIN).iterdir()).rename(images / TRAIN / '0003_c1s1_000099_01.jpg')),
        ),
    ),
    Case(
        'weights only',
        f'{TWO} model.resume HERE/changed.pth',
        'it holds weights but not the state of a run; model.load_weights takes the weights',
        prepare=change_checkpoint(lambda state: {'state_dict': state['state_dict']}),
    ),
    Case(
        "torchreid's checkpoint of torchreid's model",
        f'{TWO} model.resume SHARED/torchreid/model.pth.tar-3',
        'it holds weights but not the state of a run',
    ),
    Case(
        'truncated',
        f'{TWO} model.resume HERE/log/model/model.pth.tar-1',
        'tar-1 is damaged or no weight file .*model.resume',
        prepare=together(copy('log'), cut('log/model/model.pth.tar-1', 0.5)),
    ),
    ends_well(
        'truncated newest, auto',
        AUTO,
        '(?s)warning: .*tar-2 .*trying the one before.*Going on from .*tar-1-1: 1 epochs and 1 steps are done.*Written',
        prepare=together(copy('log'), cut('log/model/model.pth.tar-2', 0.5)),
    ),
    ends_well('another number of workers', f'{AUTO} data.workers 1', 'Going on from .*tar-2', prepare=copy('log')),
    *(
        Case(
            about,
            f'{TWO} model.resume HERE/changed.pth',
            expected,
            prepare=change_checkpoint(lambda state, changes=changes: state.update(changes)),
        )
        for about, changes, expected in (
            ('configuration that is no YAML', {'config': 'train: [1'}, 'its configuration cannot be read'),
            ('configuration that runs a command', {'config': f'a: {CANARY}'}, 'its configuration cannot be read'),
            ('configuration that is a list', {'config': '[1, 2]'}, 'changed.pth'),
            ('history that is none', {'history': None}, 'changed.pth does not fit'),
            ('epoch that is a word', {'epoch': 'three'}, 'changed.pth does not fit'),
            ('random numbers that are none', {'random': {'python': 1}}, 'changed.pth does not fit'),
            ('losses that are none', {'summaries': 7}, 'changed.pth does not fit'),
            ('optimizer that is none', {'optimizer': {}}, 'changed.pth does not fit'),
            ('memory bank that is none', {'memory': None}, 'changed.pth does not fit'),
        )
    ),
    Case(
        'no random numbers',
        f'{TWO} model.resume HERE/changed.pth',
        "changed.pth does not fit this run .*it lacks 'random'",
        prepare=change_checkpoint(lambda state: state.pop('random') and None),
    ),
]


FULL = 'cannot write HERE/log/model/model.pth.tar-[0-9-]*: %s; the checkpoints before it are untouched, make room'
RAN = r'train\.log.*|events\..*|history\.json|results\.json|model'  # what a run leaves that got to its training

SAVE_DIR = [
    Case('a file', 'data.save_dir HERE/log', 'data.save_dir', prepare=write('log', 'text')),
    Case('under a file', 'data.save_dir HERE/file/log', 'data.save_dir', prepare=write('file', 'text')),
    Case('in /proc', 'data.save_dir /proc/log', '/proc/log'),
    Case('in /sys', 'data.save_dir /sys/log', '/sys/log'),
    Case(
        'read-only',
        '',
        'into the folder HERE/log .Permission denied.: choose another data.save_dir',
        prepare=read_only,
        limit=as_another_user,
    ),
    Case('a name of 300 letters', f'data.save_dir HERE/{"x" * 300}', 'File name too long'),
    Case(
        'holds a file named model',
        '',
        'cannot write HERE/log/model/model.pth.tar-0-1: ',
        prepare=together(lambda here: (here / 'log').mkdir(), write('log/model', 'text')),
        writes='train.log.*|events.*|results.json|history.json',
    ),
    Case(
        'holds a folder named results.json',
        '',
        'HERE/log/results.json: Is a directory',
        prepare=lambda here: (here / 'log/results.json').mkdir(parents=True),
    ),
    Case('full to the last byte', '', 'No space left on device', prepare=full_disk),
    Case(
        'files limited, with checkpoints',
        AUTO.replace('2', '3'),
        FULL % 'File too large',
        prepare=copy('log'),
        limit=small_files,
        writes=RAN,
    ),
    Case('full', AUTO, FULL % 'No space left on device', prepare=small_disk, writes=RAN),
    Case('files limited, from the start', '', FULL % 'File too large', limit=small_files, writes=RAN),
]

TRAINING = [
    Case(
        'learning rate 1e30',
        f'{TWO} train.lr 1e30',
        r'error: epoch 1, step 2: not finite: loss nan, .*: lower train.lr.*\nerror: images of epoch 1, .*jpg',
        writes=f'{RAN}|model/.*',
    ),
    Case(
        'learning rate 1e30, bf16',
        f'{TWO} train.lr 1e30 train.amp bf16',
        'error: epoch 1, step 2: not finite: loss nan',
        writes=f'{RAN}|model/.*',
    ),
    ends_well('float16 overflows', f'{TWO} train.lr 1e30 train.amp fp16', 'steps so far were skipped'),
    Case(
        'too little memory',
        'paul.feature_dim 10000 paul.num_patches 1000',
        'out of memory: lower train.batch_size',
        limit=little_memory,
        writes=RAN,
    ),
]


def weights_cases(shared: Path) -> list[Case]:
    """The files of `test_weights.bad_files`, which are in SHARED."""
    words = json.loads((shared / 'words.json').read_text())
    return [Case(name, f"model.load_weights 'SHARED/bad/{name}.pth'", words[name]) for name in words]


def cases(shared: Path) -> dict[str, list[Case]]:
    return {
        'config': CONFIG,
        'data': DATA,
        'image': IMAGES_CASES,
        'weights': WEIGHTS + weights_cases(shared),
        'resume': RESUME,
        'save_dir': SAVE_DIR,
        'training': TRAINING,
    }


# ---- running them --------------------------------------------------------------------------------------------------


def prepare_shared(shared: Path) -> None:
    """The data set, the weight files, and the log of a run of two epochs."""
    counts = {'train_ids': 3, 'test_ids': 2, 'images_per_id': 4}
    render(shared / 'reid-data/market1501', 'target', seed=5, **counts)
    (shared / 'bad').mkdir()
    words = {}
    for name, (content, expected) in bad_files(shared, dim=8).items():
        path = shared / 'bad' / f'{name}.pth'
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        words[name] = expected
    (shared / 'words.json').write_text(json.dumps(words))
    model = torchreid.models.build_model('osnet_x0_25', 7, pretrained=False)
    torchreid.utils.save_checkpoint({'state_dict': model.state_dict(), 'epoch': 3}, str(shared / 'torchreid'))


def start(argv: list[str], output: Path, errors: Path | None = None, before=lambda: None) -> multiprocessing.Process:
    """Forks a process that calls `before` and runs the job; both streams go to `output` where there is no `errors`."""

    def target() -> None:
        before()
        run(argv, output, errors or output)

    process = multiprocessing.get_context('fork').Process(target=target)
    process.start()
    return process


def finish(process: multiprocessing.Process) -> None:
    """Waits for a process that must end well; torch runs in processes of their own, after it no fork would."""
    if process.pid is None:
        process.start()
    process.join()
    if process.exitcode:
        sys.exit(f'the good inputs cannot be prepared: status {process.exitcode}')


def command_line(words: str, here: Path) -> list[str]:
    places = {'HERE': str(here), 'SHARED': str(here.parent / 'shared')}
    return [re.sub('HERE|SHARED', lambda match: places[match[0]], word) for word in shlex.split(f'{BASE} {words}')]


def tree(folder: Path) -> dict[str, tuple]:
    """What is in a folder: path -> kind and mode, and the hash of a file, the target of a link."""
    found = {}
    for path in folder.rglob('*'):
        mode = path.lstat().st_mode
        content = ''
        if stat.S_ISREG(mode):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        elif stat.S_ISLNK(mode):
            content = os.readlink(path)
        found[str(path.relative_to(folder))] = (mode, content)
    return found


def changes(before: dict, after: dict, writes: str) -> list[str]:
    """The paths that were changed, added or removed, but for what the run may write."""
    differ = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    return [path for path in differ if not re.fullmatch(f'case/log(/({writes}))?', path)]


def run_case(case: Case, folder: Path) -> Outcome:
    """Runs a case in HERE, `folder/case`, which is removed afterwards.

    Raises:
        NotPossible: if it cannot be made here.
    """
    here = folder / 'case'
    here.mkdir()
    streams = [folder.parent / name for name in ('out.txt', 'err.txt')]
    for path in streams:
        path.write_text('')
    try:
        case.prepare(here)
        before = tree(folder)
        begin = time.monotonic()
        process = start(command_line(case.words, here), *streams, before=lambda: case.limit(here))
        process.join(SECONDS)
        seconds = time.monotonic() - begin
        kill(process)  # the workers of a process that ended, too
        status = process.exitcode if seconds < SECONDS else None
        changed = changes(before, tree(folder), case.writes)
        out, err = (
            path.read_text(errors='replace').replace(str(here), 'HERE').replace(str(folder / 'shared'), 'SHARED')
            for path in streams
        )
        return Outcome(status, seconds, out, err, changed)
    finally:
        if os.path.ismount(here / 'log'):
            subprocess.run(['umount', here / 'log'], check=True)
        shutil.rmtree(here)


# tqdm's bars of progress, and the two lines of a warning of Python's, which torchreid gives for an old layout.
NOT_OURS = re.compile(r'^(Rendering|Filling the patch memory bank)\b.*$|^\S+\.py:\d+: \w+: .*\n  .*$', re.MULTILINE)


def lines_of(err: str) -> list[str]:
    """The lines of standard error but for empty ones and those that are not ours."""
    return [line for line in NOT_OURS.sub('', err).splitlines() if line.strip()]


def faults(case: Case, outcome: Outcome) -> list[str]:
    """What a run did that it must not do."""
    found = []
    lines = lines_of(outcome.err)
    said = outcome.err if case.status else outcome.out + outcome.err
    if outcome.status is None:
        found.append(f'hangs: killed after {SECONDS} s')
    elif outcome.status != case.status:
        found.append(f'status {outcome.status}, expected {case.status}')
    if not re.search(case.expected, said, re.MULTILINE):
        found.append(f'does not say {case.expected!r}')
    if 'Traceback' in outcome.out + outcome.err:
        found.append('prints a traceback')
    others = [line for line in lines if not line.startswith('error: ')]
    if others:
        found.append(f'says {len(others)} lines that do not begin with "error: ", the last: {others[-1]}')
    if len(lines) > 12:  # describe_bad shows ten images
        found.append(f'says {len(lines)} lines')
    return found + [f'changes {path}' for path in outcome.changed]


def message(case: Case, outcome: Outcome) -> str:
    """What a run says to its input: the errors, or the line that was expected of one that goes to its end."""
    if outcome.status:
        return '<br>'.join(line.removeprefix('error: ') for line in lines_of(outcome.err))
    said = outcome.out + outcome.err
    match = re.search(case.expected, said, re.MULTILINE)
    return said[said.rfind('\n', 0, match.start()) + 1 :].partition('\n')[0] if match else ''


def run_all(folder: Path, only: str = '') -> list[dict]:
    """Runs the cases whose name matches; a row of the table each."""
    shared = folder / 'shared'
    shared.mkdir(parents=True)
    with contextlib.redirect_stdout(sys.stderr):
        finish(multiprocessing.get_context('fork').Process(target=prepare_shared, args=(shared,)))
    finish(start(command_line(f'data.save_dir SHARED/log {TWO}', folder / 'case'), folder.parent / 'out.txt'))
    os.chdir(folder)  # what a run writes under a relative path is a change, too
    rows = []
    for group, members in cases(shared).items():
        for case in members:
            about = f'{group}: {case.about}'
            if not re.search(only, about):
                continue
            try:
                outcome = run_case(case, folder)
            except NotPossible:
                continue
            row = {'about': about, 'status': outcome.status, 'seconds': round(outcome.seconds, 2)}
            rows.append({**row, 'message': message(case, outcome), 'faults': faults(case, outcome)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--json', action='store_true', help='a list of rows instead of a table')
    parser.add_argument('--only', default='', help='regular expression that finds the inputs to run')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = run_all(Path(folder, 'inputs'), options.only)
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        print('| input | status | message |\n| --- | --- | --- |')
        for row in rows:
            print(f'| {row["about"]} | {row["status"]} | {row["message"].replace("|", " ")} |')
    for row in rows:
        for fault in row['faults']:
            print(f'{row["about"]}: {fault}', file=sys.stderr)
    sys.exit(any(row['faults'] for row in rows))


if __name__ == '__main__':
    main()
