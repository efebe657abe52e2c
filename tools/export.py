"""Writes a trained descriptor as one file that runs without this project, and checks it against torch.

Example: python tools/export.py log/paul_synthetic model.onnx
"""

from paul_plugin.commands.export import main

if __name__ == '__main__':
    main()
