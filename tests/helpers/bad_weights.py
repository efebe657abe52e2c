"""Weight files that are damaged, foreign or hostile, and what is said of each."""

import os
import pickle

import torch
import torchreid
from PIL import Image


def build(name='paul_osnet_x0_25', **options):
    return torchreid.models.build_model(name, pretrained=False, **{'loss': 'paul', 'dim': 16, **options})


class Command:
    """A pickle that would make a folder when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def whole_checkpoint(tmp_path, **options):
    path = tmp_path / 'whole.pth'
    torch.save({'state_dict': build(**options).state_dict()}, path)
    return path.read_bytes()


def bad_files(tmp_path, dim=16):
    """Name -> (the bytes of a damaged, foreign or hostile file, or an object to save; words of its error)."""
    whole = whole_checkpoint(tmp_path, dim=dim)
    picture = tmp_path / 'picture.png'
    Image.new('RGB', (8, 8)).save(picture)
    model = build(dim=dim).state_dict()
    other_size = {key: torch.zeros(3) if key == 'branches.0.norm.weight' else value for key, value in model.items()}
    return {
        'zero bytes': (b'', 'damaged or no weight file'),
        'cut at 1 byte': (whole[:1], 'no weight file'),
        'cut at 1000 bytes': (whole[:1000], 'no weight file'),
        'cut at half': (whole[: len(whole) // 2], 'no weight file'),
        'cut at the last byte': (whole[:-1], 'no weight file'),
        'a picture': (picture.read_bytes(), 'no weight file'),
        'text': (b'state_dict: none\n' * 50, 'no weight file'),
        'a pickle that runs a command': (pickle.dumps(Command(tmp_path / 'executed')), 'nothing was executed'),
        'a checkpoint that runs a command': ({'state_dict': Command(tmp_path / 'executed')}, 'nothing was executed'),
        'another model': (
            {'state_dict': torchreid.models.build_model('mobilenetv2_x1_0', 3, pretrained=False).state_dict()},
            'another model',
        ),
        'a dictionary of strings': ({'state_dict': {'backbone.conv1.conv.weight': 'w'}}, 'holds no weights'),
        'an empty dictionary': ({}, 'holds no weights'),
        'a list': ([torch.zeros(3)], 'holds a list'),
        'a tensor': (torch.zeros(3), 'holds a Tensor'),
        'another shape': (other_size, rf'branches.0.norm.weight is \(3,\), the model has \({dim},\)'),
        'weights that are not finite': (
            {key: value / 0 if key == 'branches.1.norm.bias' else value for key, value in model.items()},
            'not finite, branches.1.norm.bias is the first',
        ),
        'a sparse tensor': (
            {key: value.to_sparse() if key == 'branches.1.norm.bias' else value for key, value in model.items()},
            'branches.1.norm.bias as a kind of tensor',
        ),
        'a meta tensor': (
            {key: value.to('meta') if key == 'branches.1.norm.bias' else value for key, value in model.items()},
            'branches.1.norm.bias as a kind of tensor',
        ),
        'another number of patches': (build(num_patches=4, dim=dim).state_dict(), 'does not fit'),
    }
