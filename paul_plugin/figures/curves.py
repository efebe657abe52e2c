"""Draws the curves of runs over their epochs: losses, mAP and Rank-1, learning rate."""

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from .plot import as_image, colour_of, new_figure, tidy
from .quantities import quantities, titled
from .sheet import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION

# Without yellow, too light for a line on white
_COLOURS = [colour_of(colour) for colour in (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, (0, 0, 0))]
_GREY = '#555555'
_TESTS = ('mAP', 'rank1')
_COLUMNS = 2  # a phone shows one of them at a time
_HEIGHT = 1.9  # inches, of a panel


class RunCurves(NamedTuple):
    """What is drawn of a run.

    Attributes:
        name: in the legend.
        history: of each epoch its number and what was recorded, name -> number.
        results: stage -> data set -> name -> fraction; of them the direct transfer is drawn.
    """

    name: str
    history: list[dict[str, float]]
    results: dict[str, dict[str, dict[str, float]]]


def draw_curves(runs: Sequence[RunCurves]) -> Image.Image:
    """One panel for each quantity that a run recorded, over the epochs; one colour for each run.

    mAP and Rank-1 are those of the first data set, marked where a test was made; a dashed line is the direct transfer.

    Args:
        runs: one has an epoch at least.

    Returns:
        As `as_image` gives it.

    Raises:
        UserError: if matplotlib is missing.
    """
    names = quantities([entry for run in runs for entry in run.history])
    rows = -(-len(names) // _COLUMNS)
    figure = new_figure(0.5 + rows * _HEIGHT)
    from matplotlib.lines import Line2D

    last = max(entry['epoch'] for run in runs for entry in run.history)
    for index, name in enumerate(names):
        axes = figure.add_subplot(rows, _COLUMNS, index + 1)
        _draw_panel(axes, name, runs, last)
        if index + _COLUMNS >= len(names):
            axes.set_xlabel('epoch', fontsize=9)
    labels = [run.name.replace('$', r'\$') for run in runs]  # which would begin a formula
    handles = [Line2D([], [], **_style(index, len(runs)), label=label) for index, label in enumerate(labels)]
    if any(_direct_transfer(run.results) for run in runs):
        handles.append(Line2D([], [], color=_GREY, linestyle='--', label='direct transfer'))
    longest = max(len(handle.get_label()) for handle in handles)
    columns = max(1, min(len(handles), 105 // (longest + 6)))
    figure.legend(handles=handles, loc='outside upper left', ncols=columns, frameon=False, fontsize=9)
    return as_image(figure)


def _draw_panel(axes, quantity: str, runs: Sequence[RunCurves], last: float) -> None:
    from matplotlib.ticker import MaxNLocator

    title, factor = titled(quantity)
    tested = quantity in _TESTS
    levels = {}  # a direct transfer -> the runs that start from it: often all from the same
    for index, (_, history, results) in enumerate(runs):
        points = [(entry['epoch'], factor * entry[quantity]) for entry in history if quantity in entry]
        marker = 'o' if tested or len(points) == 1 else ''
        steps = 'steps-mid' if quantity == 'lr' else 'default'
        if points:
            axes.plot(*zip(*points, strict=True), marker=marker, drawstyle=steps, **_style(index, len(runs)))
        if tested and quantity in _direct_transfer(results):
            levels.setdefault(factor * _direct_transfer(results)[quantity], []).append(index)
        if tested and len(runs) == 1:
            _write_number(axes, *points[-1], 'right')
    for level, indices in levels.items():
        colour = _GREY if len(indices) == len(runs) else _style(indices[0], len(runs))['color']
        axes.axhline(level, color=colour, linestyle='--', linewidth=1.2, zorder=1)
        if len(runs) == 1:
            _write_number(axes, 0.5, level, 'left')
    axes.set_title(title.replace('$', r'\$'), loc='left', fontsize=10)  # which would begin a formula
    axes.set_xlim(0.5, last + max(0.5, 0.02 * last))
    axes.margins(y=0.2)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    tidy(axes)
    if quantity == 'lr':
        _scale_rate(axes)
    elif quantity in ('mined', 'recall'):
        axes.set_ylim(0, 105)
    low, high = axes.get_ylim()  # with margins, which may pass what the quantity can be
    if low < 0 < min(axes.dataLim.intervaly):
        axes.set_ylim(bottom=0)
    if title.endswith('%'):
        axes.set_ylim(top=min(high, 102))


def _write_number(axes, epoch: float, value: float, side: str) -> None:
    axes.annotate(
        f'{value:.1f}', (epoch, value), (3 if side == 'left' else 0, 5), textcoords='offset points', ha=side, fontsize=9
    )


def _scale_rate(axes) -> None:
    """Learning rates that differ by much on a logarithmic scale, all of them as plain numbers."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    rates = [rate for line in axes.lines for rate in line.get_ydata()]
    if min(rates) > 0 and 5 <= max(rates) / min(rates) < 1e30:  # more is no rate, and no axis is as long
        axes.set_yscale('log')
        axes.yaxis.set_minor_formatter(NullFormatter())
        steps = sorted({float(f'{rate:.4g}') for rate in rates})
        if len(steps) <= 4:  # else a scale of powers of ten may name none of them
            axes.set_yticks(steps)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f'{rate:g}'))


def _style(index: int, count: int) -> dict[str, object]:
    """How a run is drawn: later ones are smaller, so that equal ones are seen below each other."""
    size = 1 + (count - 1 - index) / max(count - 1, 1)
    pattern = ('-', '-.', ':')[index // len(_COLOURS) % 3]
    colour = _COLOURS[index % len(_COLOURS)]
    return {'color': colour, 'linewidth': 1.4 * size, 'linestyle': pattern, 'markersize': 3.5 * size**0.6}


def _direct_transfer(results: dict) -> dict[str, float]:
    """The direct transfer to the first data set, which is the one that the history tells about."""
    return next(iter(results.get('direct_transfer', {}).values()), {})
