"""The project's own data sets, registered with torchreid like any other."""

from . import host
from .folder import NAME, FolderDataset

SYNTHETIC = {'synthetic_source': 'source', 'synthetic_target': 'target'}  # data set -> rendered domain


class SyntheticSource(host.dataset_class('market1501')):
    """The rendered source domain, in Market-1501's layout."""

    dataset_dir = 'synthetic_source'
    dataset_url = None


class SyntheticTarget(SyntheticSource):
    """The rendered target domain, in Market-1501's layout."""

    dataset_dir = 'synthetic_target'


def register() -> None:
    host.data.register_image_dataset('synthetic_source', SyntheticSource)
    host.data.register_image_dataset('synthetic_target', SyntheticTarget)
    host.data.register_image_dataset(NAME, FolderDataset)
