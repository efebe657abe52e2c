"""What the losses, miners, banks and networks refuse of their arguments, and what they say."""

import functools
import math

import pytest
import torch
import torchreid
from torch import zeros

from paul_plugin import (
    CyclicRankingMiner,
    IPFLLoss,
    NearestTripletLoss,
    PatchMemory,
    PEDALLoss,
    SurrogatePositive,
    pool_patches,
)
from paul_plugin.method.camera_pedal import CameraPEDALLoss
from paul_plugin.method.mutual_neighbours import MutualNeighbours
from paul_plugin.method.mutual_pedal import MutualPEDALLoss
from paul_plugin.method.reciprocal_neighbours import ReciprocalNeighbours

build = functools.partial(torchreid.models.build_model, 'paul_osnet_x0_25', pretrained=False)
PAIR, BANK, ROWS = zeros(2, 1, 3), zeros(1, 40, 3), torch.arange(2)
REFUSED = [
    (PEDALLoss, {'k': 0}, 'k must be at least 1, got 0'),
    (PEDALLoss, {'scale': 0.0}, 'scale'),
    (PEDALLoss, {'scale': math.inf}, 'inf'),
    (PEDALLoss, {'block_rows': 0}, 'block_rows'),
    (lambda: PEDALLoss(40)(PAIR, BANK, ROWS), {}, 'k=40 .* got 40'),
    (CameraPEDALLoss, {'counts': [], 'k': 2}, 'each camera must have a row'),
    (CameraPEDALLoss, {'counts': [3, 0], 'k': 2}, r'got counts=\[3, 0\]'),
    (CameraPEDALLoss, {'counts': [2, 2], 'k': 2}, 'k=2 needs a camera of more than k rows'),
    (CameraPEDALLoss, {'counts': [9], 'k': 0}, 'k must be at least 1'),
    (lambda: CameraPEDALLoss([20, 19], 2)(PAIR, BANK, ROWS), {}, 'cameras of 39 rows in all, a bank of 40'),
    (MutualNeighbours, {'counts': []}, 'each camera must have a row'),
    (MutualNeighbours, {'counts': [3, 0]}, 'each camera must have a row'),
    (MutualNeighbours, {'counts': [3], 'k': 0}, 'k must be at least 1, got 0'),
    (lambda: MutualNeighbours([3])(zeros(4, 2)), {}, 'cameras of 3 rows, 4 descriptors'),
    (lambda: MutualPEDALLoss([]), {}, 'no camera'),
    (lambda: MutualPEDALLoss([(0, 3)], scale=0), {}, 'a finite number above 0, got 0'),
    (lambda: MutualPEDALLoss([(0, 3)])(PAIR, BANK, ROWS, None), {}, 'cameras of 3 rows in all, a bank of 40'),
    (ReciprocalNeighbours, {'counts': [4], 'k': 0}, 'k must be at least 1'),
    (ReciprocalNeighbours, {'counts': [4], 'shared': 0}, 'shared must be at least 1'),
    (ReciprocalNeighbours, {'counts': [4], 'overlap': 1.0}, 'overlap must be at least 0 and below 1'),
    (ReciprocalNeighbours, {'counts': []}, 'each camera must have a row'),
    (lambda: ReciprocalNeighbours([4])(zeros(5, 2)), {}, 'cameras of 4 rows, 5 descriptors'),
    (IPFLLoss, {'margin': -1}, 'margin must be at least 0, got -1'),
    (NearestTripletLoss, {'margin': -1}, 'margin must be at least 0, got -1'),
    (CyclicRankingMiner, {'r': 0}, 'r must be at least 1, got 0'),
    *(
        (PatchMemory, {'num_images': 2, 'num_patches': 2, 'dim': 2, name: 0}, f'{name} must be .* got 0')
        for name in ('num_images', 'num_patches', 'dim', 'momentum')
    ),
    (SurrogatePositive, {'crop': (0.9, 0.7)}, 'crop'),
    (SurrogatePositive, {'crop': (0.0, 0.7)}, 'crop'),
    (SurrogatePositive, {'rotation': -1}, 'rotation'),
    (SurrogatePositive, {'jitter': 2}, 'got 2'),
    (lambda: pool_patches(zeros(2, 5, 6), zeros(2, 1, 2, 3)), {}, 'pool_patches needs'),
    (lambda: pool_patches(zeros(2, 5, 6, 4), zeros(3, 1, 2, 3)), {}, 'pool_patches needs'),
    (lambda: pool_patches(zeros(2, 5, 6, 4), zeros(2, 1, 3, 2)), {}, 'pool_patches needs'),
    (build, {'loss': 'contrastive'}, "loss must be one of .* got 'contrastive'"),
    (build, {'num_patches': 0}, 'num_patches'),
    (build, {'patch_source': 'grid'}, "got 'grid'"),
    (build, {'num_classes': 0}, 'num_classes must be at least 1, got 0'),
]


@pytest.mark.parametrize(('make', 'options', 'words'), REFUSED)
def test_refuses(make, options, words):
    with pytest.raises(ValueError, match=words):
        make(**options)
