"""Makes a table of the paper on any data set: a run for each row and seed, then CSV, Markdown and a picture.

Example: python tools/ablate.py components --config-file configs/paul_synthetic.yaml --seeds 1 2 3
"""

from paul_command import tool

if __name__ == '__main__':
    tool('ablate')
