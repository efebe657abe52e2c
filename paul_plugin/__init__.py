"""PAUL, patch-based unsupervised person re-ID, as a plugin of torchreid: importing it registers everything."""

from . import datasets, host
from .engine import ImagePAULEngine
from .ipfl import IPFLLoss
from .memory import PatchMemory
from .miner import CyclicRankingMiner
from .patchnet import PatchNet
from .pedal import PEDALLoss
from .pooling import pool_patches
from .surrogate import SurrogatePositive

__version__ = '0.1.0'
__all__ = [
    'CyclicRankingMiner',
    'IPFLLoss',
    'ImagePAULEngine',
    'PEDALLoss',
    'PatchMemory',
    'PatchNet',
    'SurrogatePositive',
    'pool_patches',
]

host.register_models()
host.register_transform()
host.register_engine(ImagePAULEngine)
datasets.register()
