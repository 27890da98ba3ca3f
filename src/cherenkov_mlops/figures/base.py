"""The registry of figures, and the arrays that they are drawn from."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cherenkov_mlops.metrics.base import GENERIC, EvaluationSettings, call_with_settings
from cherenkov_mlops.metrics.events import extract_events
from cherenkov_mlops.registry import Registry
from cherenkov_mlops.results import plain_values

#: Significant digits of the arrays: finer than a figure shows, in half of the space.
_DIGITS = 6

ENERGY_AXIS = {"xlabel": "True energy [TeV]", "xscale": "log"}


@dataclass(frozen=True)
class Panel:
    """One Axes of a figure that has several.

    Parameters
    ----------
    title : str
        Stands above it; panels of several runs with one title belong together.
    arrays : dict
        Arguments of the drawing function.
    axes : dict
        Arguments of ``Axes.set``, beside those of the figure.
    """

    title: str
    arrays: Mapping[str, Any]
    axes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FigureEntry:
    """One figure: how its arrays are made, and how they are drawn.

    Parameters
    ----------
    name : str
        Key in ``metrics.json``.
    draw : callable
        ``draw(ax, *, label, style, **arrays)`` adds one run's artists to an Axes and sets no
        limit, scale or label: that is done once, after all runs.
    kind : str
        That of the tasks it is for, or ``generic`` for figures made from the training.
    title : str
        Heading.
    data : callable
        ``data(events)`` or ``data(events, settings)``: arrays by name, the arguments of ``draw``.
        For ``generic``, the section ``training`` of the results takes the place of the events;
        an empty result means that there is nothing to draw.
    overlay : bool
        Whether several runs share one Axes; if not, each run gets a panel of its own.
    axes : dict
        Arguments of ``Axes.set``: labels, scales, limits.
    panels : callable, optional
        ``panels(arrays)``: the `Panel` objects of one run, if it has several.
    """

    name: str
    draw: Callable[..., None]
    kind: str
    title: str
    data: Callable[..., dict[str, Any]]
    overlay: bool
    axes: dict[str, Any] = field(default_factory=dict)
    panels: Callable[[Mapping[str, Any]], list[Panel]] | None = None

    def split(self, arrays: Mapping[str, Any]) -> list[Panel]:
        """Give the panels of one run: one without title if the figure does not have several."""
        return [Panel("", arrays)] if self.panels is None else self.panels(arrays)

    @property
    def caption(self) -> str:
        """Docstring of the drawing function: what is shown, and what is good."""
        return " ".join((inspect.getdoc(self.draw) or "").split())

    def alt_text(self, labels: list[str]) -> str:
        """Write one sentence for those who do not see the figure."""
        axes = " against ".join(
            self.axes[key] for key in ("ylabel", "xlabel") if self.axes.get(key)
        )
        return f"{self.title}: {axes or 'table'}, for {', '.join(labels)}. {self.caption}"


FIGURES: Registry[FigureEntry] = Registry("figure")


def figure(
    *,
    kind: str,
    title: str,
    data: Callable,
    overlay: bool,
    axes: dict[str, Any] | None = None,
    **options: Any,
) -> Callable[[Callable], Callable]:
    """Register the decorated drawing function in `FIGURES` under its own name.

    Parameters are those of `FigureEntry`.
    """

    def register(draw: Callable[..., None]) -> Callable[..., None]:
        name = draw.__name__
        entry = FigureEntry(name, draw, kind, title, data, overlay, axes or {}, **options)
        FIGURES.add(name, entry)
        return draw

    return register


def figures_of(kind: str) -> dict[str, FigureEntry]:
    """Figures of one kind (that of a task, or ``generic``), by name."""
    return FIGURES.select(lambda entry: entry.kind == kind)


def figure_data(
    events: Mapping, kind: str, settings: EvaluationSettings
) -> dict[str, dict[str, Any]]:
    """Make the arrays of each figure, in JSON's own types.

    Parameters
    ----------
    events : pandas.DataFrame or mapping of str to array
        Event table; for ``generic`` the section ``training`` of the results.
    kind : str
        That of a task, or ``generic``.
    """
    source = events if kind == GENERIC else extract_events(events, kind)
    return {
        name: _rounded(plain_values(call_with_settings(entry.data, source, settings)))
        for name, entry in figures_of(kind).items()
    }


def _rounded(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _rounded(value) for key, value in content.items()}
    # Booleans and integers, such as counts, stay exact.
    if isinstance(content, list):
        return [_rounded(value) for value in content]
    return float(f"{content:.{_DIGITS}g}") if isinstance(content, float) else content
