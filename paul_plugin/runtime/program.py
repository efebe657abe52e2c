"""How this program was called, and the package's own `__init__`, where the program's front has put it off."""

import sys


def called() -> str:
    """The words that call this program, for its help: `paul train`, or `python tools/main.py`."""
    return f'python {sys.argv[0]}' if sys.argv[0].endswith('.py') else sys.argv[0]


def load_package() -> None:
    """Executes `paul_plugin/__init__.py` where `paul_command` has put it off, and with it imports torch."""
    package = sys.modules['paul_plugin']
    if not hasattr(package, '__version__'):
        package.__spec__.loader.exec_module(package)
