"""torchvision without torch's compiler, whose import takes a third of the time in which a program starts."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_NAME = 'torch._dynamo.utils'


def _real() -> ModuleType:
    if isinstance(sys.modules.get(_NAME), _StandIn):
        del sys.modules[_NAME]
    return importlib.import_module(_NAME)


class _StandIn(ModuleType):
    """Becomes the real module when it is asked for anything else than the one function, or that is called."""

    @staticmethod
    def is_compile_supported(device_type: str) -> bool:
        return _real().is_compile_supported(device_type)

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):  # the import system's own questions
            raise AttributeError(name)
        return getattr(_real(), name)


@contextmanager
def without_compiler() -> Iterator[None]:
    """Within it, torchvision is imported without `torch._dynamo`, which is imported where it is first needed.

    torchvision's RoIAlign imports the compiler for one function, which it calls for deterministic results on a GPU;
    re-ID has no RoIAlign. What is there already stays as it is. Optimizers import the compiler when they are made.
    """
    if 'torchvision' in sys.modules or _NAME in sys.modules:
        yield
        return
    sys.modules[_NAME] = _StandIn(_NAME)
    try:
        yield
    finally:
        if isinstance(sys.modules.get(_NAME), _StandIn):
            del sys.modules[_NAME]
