"""Figures with caption, numbers and CSV, ready to be put on a page."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from cherenkov_mlops.figures import FIGURES, FigureEntry, figures_of, render_figure
from cherenkov_mlops.reporting.losses import Loss
from cherenkov_mlops.reporting.relation import add_ratio_panel
from cherenkov_mlops.reporting.shapes import MISSING, figure_losses
from cherenkov_mlops.reporting.svg import figure_svg
from cherenkov_mlops.reporting.tables import csv_link, figure_table
from cherenkov_mlops.reporting.views import RunView
from cherenkov_mlops.results import Results

#: Rows shown of one run, and of several; the CSV file holds them all.
_MAX_ROWS = (60, 24)
#: What drawing functions raise when an array is not what they expect.
DRAWING_ERRORS = (TypeError, ValueError, LookupError, AttributeError)

#: A run and its arrays for one figure.
type Drawn = tuple[RunView, dict[str, Any]]


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
    losses : list of (str, Loss)
        Label and loss of each run that could not be drawn.
    """

    figure: FigureEntry
    svg: Markup
    header: list[str]
    rows: list[list[str]]
    n_hidden: int
    csv: str
    wide: bool
    losses: list[tuple[str, Loss]]


def figure_blocks(
    views: Sequence[RunView], *, generic: bool, baseline: int | None = None
) -> list[Block]:
    """Figures of the training (``generic``) or of the tasks, ready to show.

    Parameters
    ----------
    views : sequence of RunView
        The runs.
    generic : bool
        Which figures.
    baseline : int, optional
        Place of the run that the others are divided by, below overlaid curves.
    """
    kinds = ["generic"] if generic else list(dict.fromkeys(view.kind for view in views))
    # A ratio of learning rates says nothing.
    reference = None if baseline is None or generic else views[baseline]
    blocks = []
    for kind in kinds:
        able = [view for view in views if kind in (view.kind, "generic")]
        blocks += [_registered_block(entry, able, reference) for entry in figures_of(kind).values()]
    # Panels of several runs take the whole width: after the others, they leave no holes.
    return sorted((block for block in blocks if block), key=lambda block: block.wide)


def drawable(view: RunView) -> Results:
    """The run's results without the figures of which something is lost."""
    figures = {
        name: arrays
        for name, arrays in view.results.figures.items()
        if name in FIGURES and (arrays == {} or not figure_losses(FIGURES[name], arrays))
    }
    return replace(view.results, figures=figures)


def make_block(
    entry: FigureEntry,
    drawn: Sequence[Drawn],
    *,
    reference: RunView | None = None,
    losses: Sequence[tuple[str, Loss]] = (),
) -> Block:
    """The figure of these runs; a ratio panel below it if there is a ``reference``."""
    runs = [(view.label, arrays) for view, arrays in drawn]
    header, rows = figure_table(runs)
    n_shown = _MAX_ROWS[len(runs) > 1]
    svg = Markup("")
    if drawn:
        page = render_figure(entry, runs, [view.style for view, _ in drawn])
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
        losses=list(losses),
    )


def _registered_block(
    entry: FigureEntry, views: Sequence[RunView], reference: RunView | None
) -> Block | None:
    """Block of a registered figure; None where there is nothing to draw and nothing lost."""
    drawn: list[Drawn] = []
    losses: list[tuple[str, Loss]] = []
    for view in views:
        arrays = view.results.figures.get(entry.name, MISSING)
        found = figure_losses(entry, arrays) if arrays != {} else []
        losses += [(view.label, loss) for loss in found]
        if arrays and not found:
            drawn.append((view, arrays))
    if not drawn and not losses:
        return None
    try:
        return make_block(entry, drawn, reference=reference, losses=losses)
    except DRAWING_ERRORS:
        drawable, more = _tell_apart(entry, drawn)
        return make_block(entry, drawable, reference=reference, losses=[*losses, *more])


def _tell_apart(
    entry: FigureEntry, drawn: Sequence[Drawn]
) -> tuple[list[Drawn], list[tuple[str, Loss]]]:
    """Runs that can be drawn, and the losses of those that cannot, such as columns cut short."""
    drawable, losses = [], []
    for view, arrays in drawn:
        try:
            render_figure(entry, [(view.label, arrays)])
            drawable.append((view, arrays))
        except DRAWING_ERRORS as error:
            text = f"cannot be drawn ({' '.join(str(error).split())})"
            losses.append((view.label, Loss(("figures", entry.name), text)))
    return drawable, losses
