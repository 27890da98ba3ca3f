"""Drawing one figure for one or several runs: one code path for reports and comparisons."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from cherenkov_mlops.figures.base import FigureEntry
from cherenkov_mlops.figures.style import RC_PARAMS, run_style

type Run = tuple[str, Mapping[str, Any]]
type Style = dict[str, str]

_SINGLE_INCHES = (5.6, 4.1)
_PANEL_INCHES = (3.7, 3.4)
#: Panels of one figure into which all runs are drawn may be smaller: they are alike.
_SMALL_INCHES = (2.9, 2.5)
#: With more labels the legend stands below the Axes, where it hides nothing.
_MAX_INSIDE_LABELS = 5
_LEGEND_ROW_INCHES = 0.21
_LEGEND_COLUMN_INCHES = 2.8
#: More panels than this do without minor ticks: half of their size on a page.
_MANY_PANELS = 4
#: Ratio of the ends of a logarithmic axis beyond which only powers of ten get a label.
_MANY_DECADES = 300


@dataclass
class _Cell:
    """One Axes: its title, its settings, and what adds the artists of each run to it."""

    title: str
    axes: dict[str, Any]
    group: str
    draws: list[Callable[[Axes], None]] = field(default_factory=list)


def render_figure(
    entry: FigureEntry,
    runs: Sequence[Run],
    styles: Sequence[Style] | None = None,
    *,
    look: Mapping[str, Any] = RC_PARAMS,
) -> Figure:
    """Draw all runs in each panel, or panels of its own for each run.

    Parameters
    ----------
    entry : FigureEntry
        What to draw.
    runs : sequence of (str, dict)
        Label and arrays of each run.
    styles : sequence of dict, optional
        ``color``, ``linestyle`` and ``marker`` of each run; by its place if not given.
    look : mapping
        Settings of Matplotlib.
    """
    styles = styles or [run_style(index) for index in range(len(runs))]
    found: dict[Any, _Cell] = {}
    for index, ((label, arrays), style) in enumerate(zip(runs, styles, strict=True)):
        for panel in entry.split(arrays):
            key = panel.title if entry.overlay else (index, panel.title)
            own = label if len(runs) > 1 and not entry.overlay else ""
            title = ": ".join(filter(None, [own, panel.title]))
            cell = found.setdefault(key, _Cell(title, entry.axes | panel.axes, panel.title))
            cell.draws.append(partial(entry.draw, label=label, style=style, **panel.arrays))
    cells = list(found.values()) or [_Cell("", entry.axes, "")]
    with matplotlib.rc_context(look):
        page, panels = _make_panels(cells, entry.overlay)
        for ax, cell in zip(panels, cells, strict=True):
            for draw in cell.draws:
                draw(ax)
            if cell.title:
                ax.set_title(cell.title)
            # Only now, with all runs drawn: limits taken earlier would hide those that follow.
            _set_up_axes(ax, cell.axes)
            if len(cells) > _MANY_PANELS:
                ax.minorticks_off()
        _label_outer_panels(panels, cells)
        # A legend that names the only run would say what the page says already.
        only_label = runs[0][0] if len(runs) == 1 else None
        _add_legend(page, panels, only_label, inside=entry.overlay and len(panels) == 1)
    return page


def _make_panels(cells: Sequence[_Cell], overlay: bool) -> tuple[Figure, list[Axes]]:
    n_kinds = 1 if overlay else len({cell.group for cell in cells})
    inches = _SMALL_INCHES if overlay and len(cells) > _MANY_PANELS else _PANEL_INCHES
    if len(cells) == 1:
        n_columns, inches = 1, _SINGLE_INCHES
    elif n_kinds > 1:
        # Panels of one kind stand below each other.
        n_columns = min(n_kinds * max(4 // n_kinds, 1), len(cells))
    else:
        n_columns = 4 if len(cells) % 4 == 0 or len(cells) > 9 else min(len(cells), 3)
    n_rows = -(-len(cells) // n_columns)
    page = Figure(figsize=(inches[0] * n_columns, inches[1] * n_rows))
    page.set_layout_engine("constrained")
    panels: list[Axes] = []
    first: dict[str, Axes] = {}
    for index, cell in enumerate(cells):
        # The same limits in panels that are alike, or the eye compares what is not.
        alike = first.get(cell.group)
        panels.append(page.add_subplot(n_rows, n_columns, index + 1, sharex=alike, sharey=alike))
        first.setdefault(cell.group, panels[-1])
    return page, panels


def _set_up_axes(ax: Axes, settings: dict[str, Any]) -> None:
    if not np.isfinite(ax.dataLim.intervalx).all():
        # A logarithmic axis without a value has no limits, and shared limits belong to the others.
        ax.set(**{key: settings[key] for key in ("xlabel", "ylabel") if key in settings})
        ax.tick_params(bottom=False, left=False, labelbottom=False, labelleft=False)
        words = "too few events to draw"
        ax.text(0.5, 0.5, words, ha="center", va="center", transform=ax.transAxes)
        return
    ax.set(**settings)
    ax.autoscale_view()
    for axis in (ax.xaxis, ax.yaxis):
        if axis.get_scale() == "log":
            low, high = axis.get_view_interval()
            steps = (1,) if high / low > _MANY_DECADES else (1, 2, 5)
            axis.set_major_locator(LogLocator(subs=steps, numticks=12))
            axis.set_major_formatter(FuncFormatter(_plain_number))
            axis.set_minor_formatter(NullFormatter())
            ax.grid(False, which="minor")


def _label_outer_panels(panels: Sequence[Axes], cells: Sequence[_Cell]) -> None:
    """Leave out labels that the panel below, or the one on the left, has too."""
    n_columns = panels[0].get_subplotspec().get_gridspec().ncols
    for index, (ax, cell) in enumerate(zip(panels, cells, strict=True)):
        below = cells[index + n_columns] if index + n_columns < len(cells) else None
        left = cells[index - 1] if index % n_columns else None
        for label, neighbour in (("xlabel", below), ("ylabel", left)):
            if neighbour is not None and neighbour.axes.get(label) == cell.axes.get(label):
                ax.set(**{label: ""})


def _add_legend(
    page: Figure, panels: Sequence[Axes], only_label: str | None, *, inside: bool
) -> None:
    entries: dict[str, Any] = {}
    for ax in panels:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if not entries or list(entries) == [only_label]:
        return
    if inside and len(entries) <= _MAX_INSIDE_LABELS:
        panels[0].legend(loc="best")
        return
    n_columns = min(max(2, int(page.get_figwidth() / _LEGEND_COLUMN_INCHES)), len(entries))
    n_rows = -(-len(entries) // n_columns)
    page.set_figheight(page.get_figheight() + _LEGEND_ROW_INCHES * (n_rows + 0.5))
    page.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=n_columns)


def _plain_number(value: float, _position: int) -> str:
    return f"{value:,.0f}".replace(",", "\u202f") if value >= 1 else f"{value:g}"
