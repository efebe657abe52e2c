"""`python -m paul_plugin`: the command `paul` where it is not on the path."""

from .commands.main import main

if __name__ == '__main__':
    main('python -m paul_plugin')
