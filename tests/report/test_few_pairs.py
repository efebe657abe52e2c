"""Distances of very few pairs are drawn without a warning of matplotlib's."""

import warnings

import numpy as np
import pytest

from paul_plugin.report.thresholds.drawn import draw_pairs
from paul_plugin.report.thresholds.pairs import Pairs, roc


@pytest.mark.parametrize('different', [1, 2, 6])
def test_few_pairs(different):
    pairs = Pairs(np.array([0.1, 0.2]), np.linspace(0.3, 0.9, different))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert draw_pairs(*pairs, [], roc(pairs), 'cosine').width > 1000
