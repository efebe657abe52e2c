"""Draws pictures of a trained model (patches, neighbours, mining, rankings), curves of runs, and a run's report.

Example: paul visualize patches log/paul_synthetic
"""

from ..report.main import main

__all__ = ['main']
