"""Figures with caption, numbers and CSV, ready to be put on a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from cherenkov_mlops.figures import FigureEntry, figures_of, render_figure
from cherenkov_mlops.reporting.gaps import sample_figures
from cherenkov_mlops.reporting.relation import add_ratio_panel
from cherenkov_mlops.reporting.svg import figure_svg
from cherenkov_mlops.reporting.tables import csv_link, figure_table
from cherenkov_mlops.reporting.views import Drawn, Line, RunView, TaskView, gaps_of
from cherenkov_mlops.results import Gap

#: Rows shown of one run, and of several; the CSV file holds them all.
_MAX_ROWS = (60, 24)
#: What drawing raises when arrays do not fit each other, such as columns cut short.
DRAWING_ERRORS = (ValueError, IndexError)


@dataclass(frozen=True)
class Block:
    """One figure on a page.

    Parameters
    ----------
    figure : FigureEntry
        Which.
    svg : Markup
        The picture; empty if no run has what it needs.
    header, rows : list
        Its numbers, shortened.
    n_hidden : int
        Rows left out.
    csv : str
        Link to all of them.
    wide : bool
        Whether it needs the width of the page.
    gaps : list of (str, Gap)
        Label and gap of each run that could not be drawn.
    """

    figure: FigureEntry
    svg: Markup
    header: list[str]
    rows: list[list[str]]
    n_hidden: int
    csv: str
    wide: bool
    gaps: list[tuple[str, Gap]]


def training_blocks(views: Sequence[RunView]) -> list[Block]:
    """Figures of every run, such as the course of the training."""
    return _blocks("generic", [(view, view.results.figures, "figures") for view in views])


def task_blocks(
    views: Sequence[TaskView], *, baseline: Line | None = None, prefix: str = ""
) -> list[Block]:
    """Figures of one task.

    Parameters
    ----------
    views : sequence of TaskView
        The runs that have it.
    baseline : Line, optional
        The run that the others are divided by, below overlaid curves.
    prefix : str
        Put before the name of each figure, where a page shows several tasks.
    """
    task = views[0].task
    runs = [(view, view.part.figures, f"tasks.{task.name}.figures") for view in views]
    return _blocks(task.kind, runs, baseline, prefix)


def _blocks(
    kind: str,
    runs: Sequence[tuple[RunView, Mapping[str, Any], str]],
    baseline: Line | None = None,
    prefix: str = "",
) -> list[Block]:
    blocks = []
    for entry in figures_of(kind).values():
        drawn = [
            (view, figures[entry.name]) for view, figures, _ in runs if figures.get(entry.name)
        ]
        gaps = [gap for view, _, place in runs for gap in gaps_of([view], f"{place}.{entry.name}")]
        if not drawn and not gaps:
            continue
        named = replace(entry, name=f"{prefix}{entry.name}")
        try:
            block = make_block(named, drawn, reference=baseline, gaps=gaps)
        except DRAWING_ERRORS:
            # A figure that cannot draw a sample of its own is at fault itself.
            render_figure(entry, [("sample", sample_figures(kind)[entry.name])])
            places = {view.label: f"{place}.{entry.name}" for view, _, place in runs}
            drawable, more = _tell_apart(named, drawn, places)
            block = make_block(named, drawable, reference=baseline, gaps=[*gaps, *more])
        blocks.append(block)
    # Panels of several runs take the whole width: after the others, they leave no holes.
    return sorted(blocks, key=lambda block: block.wide)


def _tell_apart(
    entry: FigureEntry, drawn: Sequence[Drawn], places: Mapping[str, str]
) -> tuple[list[Drawn], list[tuple[str, Gap]]]:
    """Split the runs into those that can be drawn, and the gaps of those that cannot."""
    drawable, gaps = [], []
    for line, arrays in drawn:
        try:
            render_figure(entry, [(line.label, arrays)])
            drawable.append((line, arrays))
        except DRAWING_ERRORS as error:
            text = f"cannot be drawn ({' '.join(str(error).split())})"
            gaps.append((line.label, Gap(tuple(places[line.label].split(".")), text)))
    return drawable, gaps


def make_block(
    entry: FigureEntry,
    drawn: Sequence[Drawn],
    *,
    reference: Line | None = None,
    gaps: Sequence[tuple[str, Gap]] = (),
) -> Block:
    """Draw the figure of these runs; a ratio panel below it if there is a ``reference``."""
    runs = [(line.label, arrays) for line, arrays in drawn]
    header, rows = figure_table(runs)
    n_shown = _MAX_ROWS[len(runs) > 1]
    svg = Markup("")
    if drawn:
        page = render_figure(entry, runs, [line.style for line, _ in drawn])
        if reference is not None and entry.overlay and not entry.panels:
            add_ratio_panel(page, entry, drawn, reference)
        svg = figure_svg(page, entry.name, entry.alt_text([label for label, _ in runs]))
    return Block(
        figure=entry,
        svg=svg,
        header=header,
        rows=rows[:n_shown],
        n_hidden=max(len(rows) - n_shown, 0),
        csv=csv_link(header, rows),
        wide=bool(entry.panels) or (not entry.overlay and len(runs) > 1),
        gaps=list(gaps),
    )
