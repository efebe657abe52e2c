"""Weights that are not there, are another model's, or cannot be fetched."""

from programs.bad_cases.case import SOFTMAX, Case
from programs.bad_cases.files import unreadable
from programs.bad_cases.limits import as_another_user, no_network

CASES = [
    Case('missing', 'model.load_weights HERE/no.pth', 'no weight file at HERE/no.pth'),
    Case('runs a command', 'paul.num_patches 6 model.load_weights SHARED/hostile.pth', 'nothing was executed'),
    Case(
        "our model, torchreid's model",
        f'{SOFTMAX} model.load_weights SHARED/log/model/model.pth.tar-1',
        'holds the weights of another model',
    ),
    Case(
        "no network, the authors' weights",
        'model.load_weights paul_msmt17_release',
        'cannot fetch paul_msmt17_release from',
        limit=no_network,
        writes=r'train\.log.*|config\.yaml|\.lock|torch.*',
    ),
    Case(
        'no permission',
        'model.load_weights HERE/bad.pth',
        'no permission to read HERE/bad.pth',
        prepare=lambda here: unreadable(here / 'bad.pth', b'PK'),
        limit=as_another_user,
    ),
]
