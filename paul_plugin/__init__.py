"""PAUL, patch-based unsupervised person re-ID, as a plugin of torchreid: importing it registers everything."""

from . import datasets, host
from .engine import ImagePAULEngine
from .folder import FolderDataset
from .ipfl import IPFLLoss
from .memory import PatchMemory
from .miner import CyclicRankingMiner
from .patchnet import PatchNet
from .pedal import PEDALLoss
from .pooling import pool_patches
from .pretraining import ImagePretrainEngine
from .resumable import ResumableEngine, resumable
from .surrogate import SurrogatePositive
from .triplet import NearestTripletLoss
from .weights import load_weights

__version__ = '0.1.0'
__all__ = [
    'CyclicRankingMiner',
    'FolderDataset',
    'IPFLLoss',
    'ImagePAULEngine',
    'ImagePretrainEngine',
    'NearestTripletLoss',
    'PEDALLoss',
    'PatchMemory',
    'PatchNet',
    'ResumableEngine',
    'SurrogatePositive',
    'load_weights',
    'pool_patches',
    'resumable',
]

host.register_models()
host.register_transform()
host.register_reader()
host.make_downloads_safe()
host.register_engine(ImagePAULEngine)
host.register_engine(ImagePretrainEngine)
datasets.register()
