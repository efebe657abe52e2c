"""Checkpoints that a run cannot go on from."""


from programs.bad_cases.case import AUTO, CANARY, OWN, TWO, Case, ends_well
from programs.bad_cases.files import TRAIN, change_checkpoint, copy, cut, data, keep, together

RESUME = [
    Case('missing', f'{TWO} model.resume HERE/no.pth', 'HERE/no.pth'),
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
    *(
        Case(
            about,
            f'{TWO} model.resume HERE/changed.pth',
            expected,
            prepare=change_checkpoint(lambda state, changes=changes: state.update(changes)),
        )
        for about, changes, expected in (
            ('configuration that runs a command', {'config': f'a: {CANARY}'}, 'its configuration cannot be read'),
        )
    ),
    Case(
        'no random numbers',
        f'{TWO} model.resume HERE/changed.pth',
        "changed.pth does not fit this run .*it lacks 'random'",
        prepare=change_checkpoint(lambda state: state.pop('random') and None),
    ),
]
