"""Packages that only some of the tools need, the extra `tools`."""

import importlib
from types import ModuleType

from .errors import UserError


def load(name: str) -> ModuleType:
    """Imports a package of the extra `tools`, or a module of one.

    Raises:
        UserError: naming the command that installs it.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.partition('.')[0]
        raise UserError(f"the package {package} is not there: pip install --editable '.[tools]' installs it") from None
