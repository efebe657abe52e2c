"""Draws pictures of a trained model (patches, neighbours, mining, rankings), curves of runs, and a run's report.

Example: python tools/visualize.py patches log/paul_synthetic
"""

from paul_command import tool

if __name__ == '__main__':
    tool('visualize')
