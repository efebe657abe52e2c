"""Draws pictures of a trained model (patches, neighbours, mining, rankings), curves of runs, and a run's report.

Example: python tools/visualize.py patches log/paul_synthetic
"""

from paul_plugin.report.main import main

if __name__ == '__main__':
    main()
