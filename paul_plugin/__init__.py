"""PAUL, patch-based unsupervised person re-ID, as a plugin of torchreid: importing it registers everything."""

from . import host, registry  # noqa: F401  # host first: it quiets a warning of torchreid
from .checkpoints.norms import measure_norms
from .checkpoints.reading import read_checkpoint
from .checkpoints.weights import load_weights
from .data.folder import FolderDataset
from .deploy.descriptor_file import read_descriptors
from .deploy.one_camera import for_camera
from .deploy.pca import reduce_dimension
from .deploy.search import read_gallery, search
from .engines.base import ResumableEngine
from .engines.paul import ImagePAULEngine
from .engines.pretrain import ImagePretrainEngine
from .engines.resumable import resumable
from .method.ipfl import IPFLLoss
from .method.memory import PatchMemory
from .method.miner import CyclicRankingMiner
from .method.mutual_neighbours import MutualNeighbours
from .method.mutual_pedal import MutualPEDALLoss
from .method.patchnet import PatchNet
from .method.pedal import PEDALLoss
from .method.pooling import pool_patches
from .method.reciprocal_neighbours import ReciprocalNeighbours
from .method.surrogate import SurrogatePositive
from .method.triplet import NearestTripletLoss
from .run.trained import Trained, open_trained
from .version import __version__  # noqa: F401

__all__ = [
    'CyclicRankingMiner',
    'FolderDataset',
    'IPFLLoss',
    'ImagePAULEngine',
    'ImagePretrainEngine',
    'MutualNeighbours',
    'MutualPEDALLoss',
    'NearestTripletLoss',
    'PEDALLoss',
    'PatchMemory',
    'PatchNet',
    'ReciprocalNeighbours',
    'ResumableEngine',
    'SurrogatePositive',
    'Trained',
    'for_camera',
    'load_weights',
    'measure_norms',
    'open_trained',
    'pool_patches',
    'read_checkpoint',
    'read_descriptors',
    'read_gallery',
    'reduce_dimension',
    'resumable',
    'search',
]

registry.register(ImagePAULEngine, ImagePretrainEngine)
