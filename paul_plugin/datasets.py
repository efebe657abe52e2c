"""The project's own data sets, registered with torchreid like any other."""

import torchreid

SYNTHETIC = {'synthetic_source': 'source', 'synthetic_target': 'target'}  # data set -> rendered domain


class SyntheticSource(torchreid.data.datasets.Market1501):
    """The rendered source domain, in Market-1501's layout."""

    dataset_dir = 'synthetic_source'
    dataset_url = None


class SyntheticTarget(SyntheticSource):
    """The rendered target domain, in Market-1501's layout."""

    dataset_dir = 'synthetic_target'


def register() -> None:
    torchreid.data.register_image_dataset('synthetic_source', SyntheticSource)
    torchreid.data.register_image_dataset('synthetic_target', SyntheticTarget)
