"""The picture of a table: bars for categories, lines for a sweep, with the deviation and every single seed."""

import io

from ..runtime.errors import import_optional
from .plan import Plan
from .report import Measurement, mean_and_deviation

_METRICS = {'mAP': 'mAP', 'rank1': 'Rank-1'}
_COLOURS = {'mAP': '#1f6fb4', 'rank1': '#d1602a'}


def draw(plan: Plan, found: list[Measurement]) -> bytes:
    """The picture of a table as PNG, one line of panels a target.

    Raises:
        UserError: if matplotlib is missing.
    """
    import_optional('matplotlib')
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    targets = next(iter(plan.cells.values())).cfg.data.targets
    sweep = bool(plan.table.symbol)
    height = 4.0 if sweep else 1.2 + 0.45 * len(plan.table.rows)
    figure = Figure(figsize=(9 if sweep else 10, height * len(targets)), layout='constrained')
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(targets), 1 if sweep else 2, squeeze=False)
    for target, axes in zip(targets, panels):
        of_target = [one for one in found if one.target == target]
        if sweep:
            _draw_sweep(axes[0], plan, of_target)
        else:
            for ax, metric in zip(axes, _METRICS):
                _draw_bars(ax, plan, of_target, metric)
            axes[1].set_yticklabels([])
        axes[0].set_title(f'{plan.table.title}, {target}', loc='left')
    file = io.BytesIO()
    figure.savefig(file, format='png', dpi=120)
    return file.getvalue()


def _draw_bars(ax, plan: Plan, found: list[Measurement], metric: str) -> None:
    """Horizontal bars from the top down; a row without a result has none."""
    names = [row.name for row in plan.table.rows]
    for place, name in enumerate(names):
        values = [100 * one.found[metric] for one in found if one.row == name]
        if values:
            mean, deviation = mean_and_deviation(values)
            ax.barh(place, mean, 0.6, xerr=deviation, color=_COLOURS[metric], alpha=0.5, capsize=3)
            ax.plot(values, [place] * len(values), 'o', color='black', markersize=3)
            ax.annotate(f' {mean:.1f}', (max([*values, mean + (deviation or 0)]), place), va='center')
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(0, 110)
    ax.set_xlabel(f'{_METRICS[metric]}, per cent')


def _draw_sweep(ax, plan: Plan, found: list[Measurement]) -> None:
    """A line a metric over the values, and a dashed one for the model before adapting."""
    values = {row.name: row.value for row in plan.table.rows}
    for metric, label in _METRICS.items():
        before = [(values[one.row], one.transfer[metric]) for one in found if one.transfer]
        after = [(values[one.row], one.found[metric]) for one in found]
        for points, style, words in ((before, '--', f'{label}, direct transfer'), (after, '-', label)):
            if not points:
                continue
            at = sorted({value for value, _ in points})
            groups = [mean_and_deviation([100 * y for x, y in points if x == value]) for value in at]
            means = [mean for mean, _ in groups]
            deviations = [deviation or 0 for _, deviation in groups] if style == '-' else None
            ax.errorbar(at, means, deviations, linestyle=style, color=_COLOURS[metric], label=words, capsize=3)
            if style == '-':
                ax.plot(*zip(*((x, 100 * y) for x, y in points)), 'o', color=_COLOURS[metric], markersize=3, alpha=0.6)
    at = sorted(values.values())
    if at[0] > 0 and at[-1] / at[0] >= 8:
        ax.set_xscale('log')
    ax.set_xticks(at, [f'{value:g}' for value in at])
    ax.minorticks_off()
    ax.set_xlabel(plan.table.symbol)
    ax.set_ylabel('per cent')
    if found:
        ax.legend(loc='upper left', bbox_to_anchor=(1.01, 1))
