"""Runs as a page shows them: mended results, a label, a style, and what was lost."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cherenkov_mlops.figures.style import run_style
from cherenkov_mlops.metrics import Metric, metrics_of
from cherenkov_mlops.reporting.gaps import mend
from cherenkov_mlops.reporting.sources import unique_labels
from cherenkov_mlops.results import Gap, Results, RunInfo, TaskResults
from cherenkov_mlops.tasks import TASKS
from cherenkov_mlops.tasks.base import Task


@dataclass(frozen=True)
class Line:
    """Name and look of what is drawn.

    Parameters
    ----------
    label : str
        Name that nothing else on the page has.
    style : dict of str to str
        Colour, line style and marker in all figures.
    """

    label: str
    style: dict[str, str]


#: A line and its arrays for one figure.
type Drawn = tuple[Line, dict[str, Any]]


@dataclass(frozen=True)
class RunView(Line):
    """A run on a page.

    Parameters
    ----------
    results : Results
        Its results, without the values that are lost.
    gaps : list of Gap
        What was lost.
    """

    results: Results
    gaps: list[Gap] = field(default_factory=list)

    @property
    def run(self) -> RunInfo:
        """The section ``run`` of the results."""
        return self.results.run

    @property
    def tasks(self) -> list[Task]:
        """What the run reconstructs."""
        return [TASKS[name] for name in self.results.tasks]


@dataclass(frozen=True)
class TaskView(RunView):
    """A run on a page, as far as one of its tasks goes."""

    task: Task = None

    @property
    def part(self) -> TaskResults:
        """Results of the task."""
        return self.results.tasks[self.task.name]

    @property
    def metrics(self) -> list[Metric]:
        """Metrics of the task, in the order of the registry."""
        return list(metrics_of(self.task.kind).values())


def run_views(runs: Sequence[Results]) -> list[RunView]:
    """The runs with label and style, in the order given."""
    labels = unique_labels(runs)
    return [
        RunView(label, run_style(index), *mend(run))
        for index, (run, label) in enumerate(zip(runs, labels, strict=True))
    ]


def task_views(views: Sequence[RunView]) -> dict[str, list[TaskView]]:
    """Task -> the runs that have it, in the order of tasks and runs."""
    found: dict[str, list[TaskView]] = {}
    for view in views:
        for task in view.tasks:
            own = TaskView(view.label, view.style, view.results, view.gaps, task)
            found.setdefault(task.name, []).append(own)
    return found


def page_title(views: Sequence[RunView]) -> str:
    """Title of the page."""
    if len(views) == 1:
        return views[0].run.title or views[0].label
    return f"Comparison of {len(views)} runs"


def gaps_of(views: Sequence[RunView], *places: str) -> list[tuple[str, Gap]]:
    """Label of the run and gap, for all gaps below these dotted keys of the results."""
    return [
        (view.label, gap)
        for view in views
        for gap in view.gaps
        if any(f"{gap.place}.".startswith(f"{place}.") for place in places)
    ]
