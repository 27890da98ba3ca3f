"""Drawing one figure for one or several runs: one code path for reports and comparisons."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from cherenkov_mlops.figures.base import FigureEntry
from cherenkov_mlops.figures.style import RC_PARAMS, run_style

_SINGLE_INCHES = (5.6, 4.1)
_PANEL_INCHES = (3.7, 3.4)
#: Ratio of the ends of a logarithmic axis beyond which only powers of ten get a label.
_MANY_DECADES = 300


def render_figure(
    entry: FigureEntry,
    runs: Sequence[tuple[str, Mapping[str, Any]]],
    styles: Sequence[dict[str, str]] | None = None,
) -> Figure:
    """Figure with one Axes for all runs, or with a panel a run if it is not an overlay.

    Parameters
    ----------
    entry : FigureEntry
        What to draw.
    runs : sequence of (str, dict)
        Label and arrays of each run.
    styles : sequence of dict, optional
        ``color``, ``linestyle`` and ``marker`` of each run; by its place if not given.
    """
    styles = styles or [run_style(index) for index in range(len(runs))]
    with matplotlib.rc_context(RC_PARAMS):
        page, panels = _make_panels(entry, len(runs))
        for index, ((label, arrays), style) in enumerate(zip(runs, styles, strict=True)):
            panel = panels[0 if entry.overlay else index]
            entry.draw(panel, label=label, style=style, **arrays)
            if not entry.overlay and len(runs) > 1:
                panel.set_title(label)
        for panel in panels:
            _set_up_axes(panel, entry)
    return page


def _make_panels(entry: FigureEntry, n_runs: int) -> tuple[Figure, list[Axes]]:
    if entry.overlay or n_runs == 1:
        page = Figure(figsize=_SINGLE_INCHES)
        page.set_layout_engine("constrained")
        return page, [page.add_subplot()]
    n_columns = 4 if n_runs % 4 == 0 or n_runs > 9 else min(n_runs, 3)
    n_rows = -(-n_runs // n_columns)
    page = Figure(figsize=(_PANEL_INCHES[0] * n_columns, _PANEL_INCHES[1] * n_rows))
    page.set_layout_engine("constrained")
    return page, [page.add_subplot(n_rows, n_columns, index + 1) for index in range(n_runs)]


def _set_up_axes(ax: Axes, entry: FigureEntry) -> None:
    # Only now, with all runs drawn: limits taken earlier would hide those that follow.
    if not np.isfinite(ax.dataLim.intervalx).all():
        _say_nothing_to_draw(ax, entry)
        return
    ax.set(**entry.axes)
    ax.autoscale_view()
    for axis in (ax.xaxis, ax.yaxis):
        if axis.get_scale() == "log":
            low, high = axis.get_view_interval()
            steps = (1,) if high / low > _MANY_DECADES else (1, 2, 5)
            axis.set_major_locator(LogLocator(subs=steps, numticks=12))
            axis.set_major_formatter(FuncFormatter(_plain_number))
            axis.set_minor_formatter(NullFormatter())
            ax.grid(False, which="minor")
    if ax.get_legend_handles_labels()[0] and not ax.get_legend():
        ax.legend(loc="best")


def _say_nothing_to_draw(ax: Axes, entry: FigureEntry) -> None:
    # A logarithmic axis without a value has no limits: Matplotlib would raise.
    labels = {key: entry.axes[key] for key in ("xlabel", "ylabel") if key in entry.axes}
    ax.set(**labels, xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
    ax.text(0.5, 0.5, "too few events to draw", ha="center", va="center")


def _plain_number(value: float, _position: int) -> str:
    return f"{value:,.0f}".replace(",", "\u202f") if value >= 1 else f"{value:g}"
