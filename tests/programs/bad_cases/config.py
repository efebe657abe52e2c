"""Bad words and config files."""

import os

from programs.bad_cases.case import CANARY, SOFTMAX, Case
from programs.bad_cases.files import unreadable, write
from programs.bad_cases.limits import as_another_user


def file(about: str, content: str, expected: str) -> Case:
    """A bad config file."""
    return Case(f'config file: {about}', '--config-file HERE/bad.yaml', expected, prepare=write('bad.yaml', content))


CASES = [
    Case('unknown key', 'train.lrr 0.1', r"unknown key 'train\.lrr' \(did you mean 'train\.lr'\?\)"),
    Case(
        'image smaller than the model takes',
        f'{SOFTMAX} data.height 8 data.width 8',
        'osnet_x0_25 cannot take images of data.height 8, data.width 8',
    ),
    Case(
        'layer that the model lacks',
        'train.fixbase_epoch 1 train.open_layers [branchs]',
        "train.open_layers: paul_osnet_x0_25 has no layer 'branchs' .did you mean 'branches'",
    ),
    file('a pipe', '', 'bad.yaml: ')._replace(prepare=lambda here: os.mkfifo(here / 'bad.yaml')),
    file('no permission', '', 'bad.yaml: Permission denied')._replace(
        prepare=lambda here: unreadable(here / 'bad.yaml', b''), limit=as_another_user
    ),
    file('runs a command', f'train: {CANARY}', 'bad.yaml, line 1: not valid YAML: could not determine a constructor'),
    file('more aliases than a config has', f'train: {{lr: [&a x{", *a" * 9}]}}', 'not valid YAML: too many aliases'),
    file('null character in a path', r'model: {resume: "a\0b"}', r'model.resume = .a\\x00b.: must be UTF-8 text'),
]
