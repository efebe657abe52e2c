"""Times each part of the method and the whole training step against a straightforward implementation of the formulas.

Example: python tools/benchmark.py --only ranking --repeats 3 --json benchmark.json
"""

from paul_command import tool

if __name__ == '__main__':
    tool('benchmark')
