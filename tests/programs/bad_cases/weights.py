"""Weights that are not there, are another model's, or cannot be fetched."""

import json
import os
from pathlib import Path

from programs.bad_cases.case import SOFTMAX, Case
from programs.bad_cases.files import unreadable
from programs.bad_cases.limits import as_another_user, no_network

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
            writes=r'(train|test)\.log.*|\.lock|torch.*',
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


def damaged(shared: Path) -> list[Case]:
    """The files of `helpers.bad_weights`, which are in SHARED."""
    words = json.loads((shared / 'words.json').read_text())
    return [Case(name, f"model.load_weights 'SHARED/bad/{name}.pth'", words[name]) for name in words]
