"""Draws distances: histograms of the same and of different persons with the ROC curve, or of the nearest crops."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...figures.plot import as_image, colour_of, new_figure, tidy
from ...figures.sheet import BLUE, GREEN, ORANGE, PURPLE, VERMILLION

BINS = 80
_SAME, _DIFFERENT = colour_of(GREEN), colour_of(VERMILLION)
_LINES = ('--', '-.', ':')


def edges_of(*distances: NDArray) -> NDArray[np.float64]:
    """The edges of the bins that all histograms of one picture have, from the smallest to the largest distance."""
    low, high = min(float(each.min()) for each in distances), max(float(each.max()) for each in distances)
    return np.linspace(low, high if high > low else low + 1, BINS + 1)


def draw_pairs(
    same: NDArray,
    different: NDArray,
    thresholds: Sequence[tuple[str, float, float, float]],
    curve: tuple[NDArray, NDArray],
    metric: str,
) -> Image.Image:
    """The histograms of the same and of different persons, and the ROC curve; the thresholds are marked in both.

    Args:
        same, different: distances, at least one each.
        thresholds: of each its name, its distance, and the shares of different and of same pairs that are nearer.
        curve: shares of different pairs accepted and of same pairs found.
        metric: name of the distance.

    Raises:
        UserError: if matplotlib is missing.
    """
    figure = new_figure(3.3)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    edges = edges_of(same, different)
    for distances, colour, label in ((same, _SAME, 'same person'), (different, _DIFFERENT, 'different persons')):
        _histogram(left, distances, edges, colour, f'{label}, {len(distances):,} pairs')
    lowest = min(max(100 / len(different), 0.001), 10)  # an axis has a length, of one pair, too
    of_different, of_same = (100 * shares for shares in curve)
    right.plot(np.maximum(of_different, lowest), of_same, color=colour_of(BLUE))  # 0 has no place on a log axis
    for (name, distance, accepted, found), line in zip(thresholds, _LINES):
        left.axvline(distance, color='#333333', linestyle=line, linewidth=1, label=f'{distance:.3f} accepts {name}')
        right.plot([max(100 * accepted, lowest)], [100 * found], 'o', color='#333333', markersize=4)
        if accepted:
            right.annotate(
                f'{100 * found:.0f} %', (100 * accepted, 100 * found), (5, -10), textcoords='offset points', fontsize=9
            )
    _finish(left, f'{metric} distance', 'share of the pairs, %', 'Distances between cameras')
    right.set_xscale('log')
    right.set_xlim(lowest, 100)
    right.set_ylim(0, 102)
    right.xaxis.set_major_formatter(lambda share, _: f'{share:g}')
    tidy(right)
    right.set_xlabel('different pairs accepted, %', fontsize=9)
    right.set_title('Same pairs found, %  (ROC)', loc='left', fontsize=10)
    return as_image(figure)


def draw_nearest(nearest: Mapping[str, NDArray], metric: str) -> Image.Image:
    """The histograms of the distances to the nearest crop, by where that is looked for.

    Args:
        nearest: what is said of each -> distances, at least one.
        metric: name of the distance.

    Raises:
        UserError: if matplotlib is missing.
    """
    figure = new_figure(2.8)
    axes = figure.subplots()
    edges = edges_of(*nearest.values())
    for (label, distances), colour in zip(nearest.items(), (BLUE, ORANGE, PURPLE)):
        _histogram(axes, distances, edges, colour_of(colour), label)
    _finish(axes, f'{metric} distance', 'share of the crops, %', 'Distance of each crop to the crop nearest to it')
    return as_image(figure)


def _histogram(axes, distances: NDArray, edges: NDArray, colour: str, label: str) -> None:
    shares = 100 * np.histogram(distances, edges)[0] / len(distances)
    axes.stairs(shares, edges, fill=True, color=colour, alpha=0.3)
    axes.stairs(shares, edges, color=colour, linewidth=1.4, label=label)


def _finish(axes, x: str, y: str, title: str) -> None:
    tidy(axes)
    axes.set_ylim(0, 1.45 * axes.get_ylim()[1])  # room for the legend
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.set_title(title, loc='left', fontsize=10)
    axes.legend(facecolor='white', edgecolor='none', framealpha=0.9, fontsize=9)  # over the thresholds' lines
