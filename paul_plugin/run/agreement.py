"""What all processes of a run must have alike, compared before the first step: else they hang or go wrong unseen."""

import hashlib
from collections.abc import Mapping

from yacs.config import CfgNode

from ..config.changes import FREE
from ..config.keys import all_keys, value_of
from ..host.data import DataManager, items_of, sort_test_images
from ..runtime import processes
from ..runtime.errors import UserError, show


def check_settings(cfg: CfgNode) -> None:
    """Compares the settings that results depend on; all processes call it.

    Raises:
        UserError: on all processes, naming the first key that differs.
    """
    own = {key: show(value_of(cfg, key)) for key in all_keys(cfg) if key not in FREE or key == 'train.max_epoch'}
    _refuse_difference(own, 'start all with the same command line and config file')


def check_images(datamanager: DataManager) -> None:
    """Compares the names of the images of training, query and gallery; all processes call it.

    Raises:
        UserError: on all processes, naming the part that differs.
    """
    if processes.world_size() > 1:
        sort_test_images(datamanager)
    own = {}
    for part, items in items_of(datamanager).items():
        names = sorted(repr(item[0]).rpartition('/')[2] for item in items)
        digest = hashlib.sha256('\n'.join(names).encode()).hexdigest()[:8]
        own[f'{part} images'] = f'{len(names)} of digest {digest}'
    _refuse_difference(own, 'give all machines the same files under the same names')


def _refuse_difference(own: Mapping[str, str], way_out: str) -> None:
    first, *others = processes.from_all(own)
    for process, other in enumerate(others, 1):
        for name in first | other:
            if first.get(name) != other.get(name):
                raise UserError(
                    f'process {process} has {name} = {other.get(name, "none")}, the first one has '
                    f'{first.get(name, "none")}: {way_out}'
                )
