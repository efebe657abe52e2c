"""The command `paul` and the tools: a light front, so that help and errors come before torch is imported.

Importing `paul_plugin` registers models, losses and engines in torchreid, and so imports both torch and torchreid:
seconds. A command line can be read without them. Until it is read, the package stands in `sys.modules` unexecuted:
its rooms can be imported one by one, and the one that reads a command line is light. `load_package` of
`paul_plugin/commands/command.py` executes the package in that same module object, before the work begins.

Only a running program does so: a process that is started anew for a part of the work (spawn, forkserver) imports this
file as part of its main module, and the package as everybody does.
"""

import importlib.util
import sys


def _stand_in() -> None:
    if 'paul_plugin' in sys.modules:
        return
    spec = importlib.util.find_spec('paul_plugin')
    if spec is None:
        sys.exit('error: the package paul_plugin is not there: pip install --editable . installs it')
    sys.modules['paul_plugin'] = importlib.util.module_from_spec(spec)


def main() -> None:
    """The command `paul VERB ...`."""
    _stand_in()
    from paul_plugin.commands.main import main

    main()


def tool(verb: str) -> None:
    """The program of one verb, `python tools/....py`."""
    _stand_in()
    from paul_plugin.commands.main import call_verb

    call_verb(verb, *sys.argv[:1], sys.argv[1:])
