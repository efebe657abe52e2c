"""The rendered domains as data sets of torchreid."""

from ...host.data import dataset_class


class SyntheticSource(dataset_class('market1501')):
    """The rendered source domain, in Market-1501's layout."""

    dataset_dir = 'synthetic_source'
    dataset_url = None


class SyntheticTarget(SyntheticSource):
    """The rendered target domain, in Market-1501's layout."""

    dataset_dir = 'synthetic_target'


class SyntheticHard(SyntheticSource):
    """The rendered target domain whose cameras part as much as real ones, in Market-1501's layout."""

    dataset_dir = 'synthetic_hard'


CLASSES = {made.dataset_dir: made for made in (SyntheticSource, SyntheticTarget, SyntheticHard)}
SYNTHETIC = {name: name.removeprefix('synthetic_') for name in CLASSES}  # data set -> rendered domain
