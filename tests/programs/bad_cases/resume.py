"""Checkpoints that a run cannot go on from."""

import os

from programs.bad_cases.case import AUTO, CANARY, OWN, TWO, Case, ends_well
from programs.bad_cases.files import TRAIN, change_checkpoint, copy, cut, data, keep, together

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
            ('epoch -3', {'epoch': -3}, 'changed.pth does not fit this run .*: its epoch is not from 0 to 1000000'),
            ('epoch of 31 digits', {'epoch': 10**30}, 'changed.pth does not fit this run .*: its epoch is not from 0'),
            ('history of 400 digits', {'history': [{'epoch': 10**400}]}, 'its history holds something else than num'),
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
