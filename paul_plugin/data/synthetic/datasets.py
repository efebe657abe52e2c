"""The rendered domains as data sets of torchreid."""

from ...host.data import dataset_class

SYNTHETIC = {'synthetic_source': 'source', 'synthetic_target': 'target'}  # data set -> rendered domain


class SyntheticSource(dataset_class('market1501')):
    """The rendered source domain, in Market-1501's layout."""

    dataset_dir = 'synthetic_source'
    dataset_url = None


class SyntheticTarget(SyntheticSource):
    """The rendered target domain, in Market-1501's layout."""

    dataset_dir = 'synthetic_target'
