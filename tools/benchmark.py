"""Times each part of the method and the whole training step against a straightforward implementation of the formulas.

Example: python tools/benchmark.py --only ranking --repeats 3 --json benchmark.json
"""

from paul_plugin.benchmark.main import main

if __name__ == '__main__':
    main()
