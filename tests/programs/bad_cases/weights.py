"""Weights that are not there, are another model's, or cannot be fetched."""

import json
import os
from pathlib import Path

import torch
from programs.bad_cases.case import SOFTMAX, Case
from programs.bad_cases.config import EVIL, SHOWN
from programs.bad_cases.files import unreadable, write
from programs.bad_cases.limits import as_another_user, no_network

PROJECT = Path(__file__).parents[3]


def left_by_another_seed(here: Path) -> None:
    (here / 'log').mkdir()
    torch.save({'state_dict': {}, 'config': 'train: {seed: 3}'}, here / 'log/pretrained.pth.tar')


WEIGHTS = [
    Case('missing', 'model.load_weights HERE/no.pth', 'no weight file at HERE/no.pth'),
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
    Case(
        'a name that forges a line',
        f'model.load_weights "HERE/{EVIL}"',
        f'^error: {SHOWN} is no weight file, or holds more than weights .nothing was executed.$',
        prepare=write(EVIL, 'no weights'),
    ),
    Case(
        'safetensors, damaged',
        'model.load_weights HERE/bad.safetensors',
        'HERE/bad.safetensors is damaged or no weight file .SafetensorError.: get it again',
        prepare=write('bad.safetensors', (10).to_bytes(8, 'little') + b'{"a": [1]}'),
    ),
    Case(
        'of a pre-training with another seed',
        f'paul.pretrain.config {PROJECT}/configs/pretrain_synthetic.yaml',
        'HERE/log/pretrained.pth.tar is of a pre-training with other settings: .*train.seed from 3 to 1[;:].*delete it',
        prepare=left_by_another_seed,
    ),
    *(
        Case(
            f'no network, {about}',
            f'{words} model.pretrained True',
            expected,
            limit=no_network,
            writes=r'train\.log.*|config\.yaml|\.lock|torch.*',
        )
        for about, words, expected in (
            ('our model', 'model.name paul_resnet18', 'no ImageNet weights for resnet18 .*: it starts from random'),
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


def damaged(shared: Path) -> list[Case]:
    """Some files of `helpers.bad_weights`, in SHARED; the number of patches is named, else a file tells it."""
    words = json.loads((shared / 'words.json').read_text())
    names = 'cut at half', 'a checkpoint that runs a command', 'another shape', 'weights that are not finite'
    return [Case(name, f"paul.num_patches 6 model.load_weights 'SHARED/bad/{name}.pth'", words[name]) for name in names]
