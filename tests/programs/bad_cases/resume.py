"""Checkpoints that a run cannot go on from."""

from programs.bad_cases.case import AUTO, CANARY, TWO, Case, ends_well
from programs.bad_cases.files import change_checkpoint, copy, cut, together

CASES = [
    Case('missing', f'{TWO} model.resume HERE/no.pth', 'HERE/no.pth'),
    Case('another learning rate', f'{AUTO} train.lr 0.5', 'train.lr from 0.01 to 0.5', prepare=copy('log')),
    Case(
        'weights only',
        f'{TWO} model.resume HERE/changed.pth',
        'it holds weights but not the state of a run; model.load_weights takes the weights',
        prepare=change_checkpoint(lambda state: {'state_dict': state['state_dict']}),
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
    Case(
        'configuration that runs a command',
        f'{TWO} model.resume HERE/changed.pth',
        'its configuration cannot be read',
        prepare=change_checkpoint(lambda state: state.update(config=f'a: {CANARY}')),
    ),
    Case(
        'no random numbers',
        f'{TWO} model.resume HERE/changed.pth',
        "changed.pth does not fit this run .*it lacks 'random'",
        prepare=change_checkpoint(lambda state: state.pop('random') and None),
    ),
]
