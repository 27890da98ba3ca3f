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
#: With more labels the legend stands below the Axes, where it hides nothing.
_MAX_INSIDE_LABELS = 5
_LEGEND_ROW_INCHES = 0.21
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
            # A legend that names the only run would say what the page says already.
            _set_up_axes(panel, entry, only_label=runs[0][0] if len(runs) == 1 else None)
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
    panels: list[Axes] = []
    for index in range(n_runs):
        # The same limits in all panels, or the eye compares what is not alike.
        shared = {"sharex": panels[0], "sharey": panels[0]} if panels else {}
        panels.append(page.add_subplot(n_rows, n_columns, index + 1, **shared))
    return page, panels


def _set_up_axes(ax: Axes, entry: FigureEntry, only_label: str | None) -> None:
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
    _, labels = ax.get_legend_handles_labels()
    if len(labels) > _MAX_INSIDE_LABELS:
        n_rows = -(-len(labels) // 2)
        ax.figure.set_figheight(ax.figure.get_figheight() + _LEGEND_ROW_INCHES * n_rows)
        ax.figure.legend(loc="outside lower center", ncols=2)
    elif labels and labels != [only_label]:
        ax.legend(loc="best")


def _say_nothing_to_draw(ax: Axes, entry: FigureEntry) -> None:
    # A logarithmic axis without a value has no limits, and shared limits belong to the others.
    ax.set(**{key: entry.axes[key] for key in ("xlabel", "ylabel") if key in entry.axes})
    ax.tick_params(bottom=False, left=False, labelbottom=False, labelleft=False)
    ax.text(0.5, 0.5, "too few events to draw", ha="center", va="center", transform=ax.transAxes)


def _plain_number(value: float, _position: int) -> str:
    return f"{value:,.0f}".replace(",", "\u202f") if value >= 1 else f"{value:g}"
