"""Describes every image of a folder and writes the descriptors into one file; killed, the same command goes on.

Example: python tools/extract.py log/paul_synthetic crops descriptors.npz
"""

from paul_plugin.commands.extract import main

if __name__ == '__main__':
    main()
