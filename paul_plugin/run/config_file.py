"""The file in a run's folder that holds its whole configuration, from which the run can be done again."""

import contextlib
from pathlib import Path

from yacs.config import CfgNode

from ..checkpoints import resume
from ..config import settings
from ..config.settings import with_keys
from ..runtime.errors import UserError, printable
from ..runtime.files import write_atomically
from .start import Start, checkpoints_of

CONFIG, CONFIG_OF_TEST = 'config.yaml', 'config_test.yaml'
_HEAD = '# All keys of the run in this folder. --config-file with this file does the same again.\n'


def config_path(cfg: CfgNode) -> Path:
    """Where a run writes its configuration: a test alone leaves that of the training in the same folder as it is."""
    return Path(cfg.data.save_dir, CONFIG_OF_TEST if cfg.test.evaluate else CONFIG)


def write_config(cfg: CfgNode, start: Start) -> None:
    """Writes the whole configuration; the first process calls it.

    It is the user's, and not what the run made of it, such as a file's place in a cache. A run that goes on is told
    from its beginning, as both end alike: `model.resume` is not in it, and `model.load_weights`, which a run that goes
    on need not name again, stays what it was.

    Args:
        cfg: the config as the user gave it.
        start: what was found to start with.

    Raises:
        UserError: if the file is another's.
    """
    path = config_path(cfg)
    if path.is_file() and not _is_ours(path):
        raise UserError(
            f'{printable(path)} is no file of a run, which writes its configuration there: rename it, or choose '
            'another data.save_dir'
        )
    own = start.point is not None and start.point.path.parent.resolve() == checkpoints_of(cfg).path.resolve()
    if not cfg.test.evaluate:
        asked = '' if own or cfg.model.resume == resume.AUTO else cfg.model.resume
        weights = cfg.model.load_weights or (_weights_in(path) if own else '')
        cfg = with_keys(cfg, {'model.resume': asked, 'model.load_weights': weights})
    path.parent.mkdir(parents=True, exist_ok=True)  # of the pre-training stage
    write_atomically(f'{_HEAD}{cfg.dump()}', path)


def _is_ours(path: Path) -> bool:
    with open(path, 'rb') as file:
        return file.read(len(_HEAD)) == _HEAD.encode()


def _weights_in(path: Path) -> str:
    """The weights that the run in this folder began with, by its file; '' where there is none that can be read."""
    with contextlib.suppress(UserError):
        return next((str(value) for _, key, value in settings.read(str(path)) if key == 'model.load_weights'), '')
    return ''
