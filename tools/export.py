"""Writes a trained descriptor as one file that runs without this project, and checks it against torch.

Example: python tools/export.py log/paul_synthetic model.onnx
"""

from paul_command import tool

if __name__ == '__main__':
    tool('export')
