"""Data sets to test on alone: torchreid reads their training images first, and fails where there are none."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from torchreid import data


@contextmanager
def training_images_optional() -> Iterator[None]:
    """Within it torchreid's data sets may lack training images, or the folder `train_dir` that holds them.

    A data manager makes a loader of training images for a test, too, and torch none of nothing: queries stand in, as
    one person of one camera. The data set says so.
    """
    check, init = data.Dataset.check_before_run, data.Dataset.__init__

    def check_before_run(self, required_files):
        paths = [required_files] if isinstance(required_files, str) else required_files
        missing = getattr(self, 'train_dir', None)
        check(self, [path for path in paths if path != missing or os.path.exists(path)])

    def __init__(self, train, query, gallery, *args, **kwargs):
        if not train and query:
            train = [(item[0], 0, 0) for item in query]
            if kwargs.get('mode') == 'train':
                print(f'* {type(self).__name__} has no training images, which a test needs none of: queries stand in')
        init(self, train, query, gallery, *args, **kwargs)

    data.Dataset.check_before_run, data.Dataset.__init__ = check_before_run, __init__
    try:
        yield
    finally:
        data.Dataset.check_before_run, data.Dataset.__init__ = check, init
