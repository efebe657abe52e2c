"""torchreid as it is: its private names, versions and bugs, each with a sentence on why; nothing else touches them.

Both layouts are reached by attribute: the package from PyPI (0.2.5, modules under `torchreid.reid`) and the upstream
repository (1.4.0, `torchreid.models`, ...).
"""

import sys
import warnings
from types import ModuleType

with warnings.catch_warnings():
    # The PyPI package has no Cython evaluation and says so at every import; its Python evaluation gives the same.
    warnings.filterwarnings('ignore', message='Cython evaluation')
    try:
        import torchreid  # noqa: F401
    except ImportError as error:
        # Its engine imports the writer of events, which torch has only where TensorBoard is.
        if 'tensorboard' not in (error.name or ''):
            raise
        raise ImportError('torchreid needs the package tensorboard: pip install tb-nightly', name=error.name) from None


def module_of(thing: object) -> ModuleType:
    """The module that defines a torchreid object, under either layout."""
    return sys.modules[thing.__module__]
