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
    import torchreid  # noqa: F401


def module_of(thing: object) -> ModuleType:
    """The module that defines a torchreid object, under either layout."""
    return sys.modules[thing.__module__]
