"""Describes every image of a folder and writes the descriptors into one file; killed, the same command goes on.

Example: python tools/extract.py log/paul_synthetic crops descriptors.npz
"""

from paul_command import tool

if __name__ == '__main__':
    tool('extract')
