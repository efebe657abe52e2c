"""Trains and tests models from the command line: torchreid's keys and options, and PAUL's `paul` node.

Example: python tools/main.py --config-file configs/paul_synthetic.yaml
"""

from paul_command import tool

if __name__ == '__main__':
    tool('train')
