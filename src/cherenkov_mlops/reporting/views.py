"""Runs as a page shows them: mended results, a label, a style, and what was lost."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cherenkov_mlops.figures.style import run_style
from cherenkov_mlops.metrics import METRICS, Metric
from cherenkov_mlops.reporting.losses import Loss, find_losses, without
from cherenkov_mlops.reporting.sources import unique_labels
from cherenkov_mlops.results import Results
from cherenkov_mlops.tasks import TASKS


@dataclass(frozen=True)
class RunView:
    """A run on a page.

    Parameters
    ----------
    results : Results
        Its results, without the values that are lost.
    label : str
        Name that no other run on the page has.
    style : dict of str to str
        Colour, line style and marker in all figures.
    losses : list of Loss
        What was lost.
    """

    results: Results
    label: str
    style: dict[str, str]
    losses: list[Loss] = field(default_factory=list)

    @property
    def run(self) -> dict[str, Any]:
        """The section ``run`` of the results."""
        return self.results.run

    @property
    def kind(self) -> str:
        """Kind of the metrics and figures of its task."""
        return TASKS[self.run["task"]].kind

    @property
    def task_title(self) -> str:
        """Task in words."""
        return TASKS[self.run["task"]].title


def run_views(runs: Sequence[Results]) -> list[RunView]:
    """The runs with label and style, in the order given."""
    views = []
    for index, (run, label) in enumerate(zip(runs, unique_labels(runs), strict=True)):
        losses = find_losses(run)
        views.append(RunView(without(run, losses), label, run_style(index), losses))
    return views


def page_title(views: Sequence[RunView]) -> str:
    """Title of the page."""
    if len(views) == 1:
        return views[0].run.get("title") or views[0].label
    return f"Comparison of {len(views)} runs"


def shared_metrics(views: Sequence[RunView]) -> list[Metric]:
    """Metrics of the tasks of these runs, in the order of the registry."""
    kinds = {view.kind for view in views}
    return [entry for entry in METRICS.values() if entry.kind in kinds]


def losses_of(views: Sequence[RunView], *sections: str) -> list[tuple[str, Loss]]:
    """Label of the run and loss, for all losses in these sections of the results."""
    return [
        (view.label, loss) for view in views for loss in view.losses if loss.section in sections
    ]
