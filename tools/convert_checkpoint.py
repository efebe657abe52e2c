"""Converts a PatchNet checkpoint of the 2019 release into one that torchreid's own functions read, and back.

Example: python tools/convert_checkpoint.py released.pth patchnet.pth
"""

from paul_command import tool

if __name__ == '__main__':
    tool('convert')
