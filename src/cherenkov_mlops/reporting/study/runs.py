"""The runs of a study, sorted: by task and model, baselines apart from rows of pruned runs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cherenkov_mlops.config.files import value_at
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.metrics import METRICS, Metric
from cherenkov_mlops.metrics.contrasts import Quality
from cherenkov_mlops.reporting.sources import find_obstacles
from cherenkov_mlops.reporting.tables import differing_keys, flatten
from cherenkov_mlops.reporting.views import TaskView, run_views, task_views
from cherenkov_mlops.results import Results
from cherenkov_mlops.tasks import TASKS

#: Options in which the runs of one group may differ.
_FREE = (
    "pruning",
    "run",
    "report",
    "slurm",
    "data.cache",
    "data.cache_dir",
    "data.cache_local_dir",
)
_BASELINE = "baseline"


@dataclass(frozen=True)
class Series:
    """A way of pruning, at any sparsity.

    Parameters
    ----------
    label : str
        The schedule, and what else tells it from the others.
    schedule : str
        ``polynomial``, ``constant``, or empty.
    others : str
        All other settings, to find the counterpart of another schedule.
    """

    label: str
    schedule: str
    others: str


@dataclass(frozen=True)
class Row:
    """Runs that differ in their seed only.

    Parameters
    ----------
    series : Series or None
        How they were pruned; None for the baseline.
    sparsity : float
        Share of zero weights that was asked for.
    views : dict of int to TaskView
        Seed -> run.
    """

    series: Series | None
    sparsity: float
    views: dict[int, TaskView]

    @property
    def name(self) -> str:
        """What no other row of the group is called."""
        return f"{self.series.label} {self.sparsity:.6g}" if self.series else _BASELINE

    def value(self, metric: str) -> float:
        """Mean of a metric over the seeds."""
        return float(np.mean([view.part.value(metric) for view in self.views.values()]))

    def fact(self, name: str) -> float:
        """Mean of a fact over the seeds that know it; NaN if none does."""
        known = [view.results.facts.get(name) for view in self.views.values()]
        known = [float(value) for value in known if value is not None]
        return float(np.mean(known)) if known else float("nan")


@dataclass(frozen=True)
class Group:
    """All runs of one task and model.

    Parameters
    ----------
    key, title : str
        Short name for identifiers, and heading.
    task : str
        The task.
    baseline : Row
        Runs that were not pruned.
    rows : list of Row
        Pruned runs, by series and sparsity.
    """

    key: str
    title: str
    task: str
    baseline: Row
    rows: list[Row] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """Kind of its metrics and figures."""
        return TASKS[self.task].kind

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of the study, the one that decides first."""
        shown = [m for m in METRICS.values() if m.kind == self.kind and (m.key or m.studied)]
        # Biases can be small by luck; a resolution or an area cannot.
        decides = next(m for m in shown if m.better in ("higher", "lower"))
        return [decides, *(metric for metric in shown if metric is not decides)]

    @property
    def series(self) -> list[Series]:
        """Ways of pruning, in order."""
        return list(dict.fromkeys(row.series for row in self.rows if row.series))

    def qualities(self, metric: Metric) -> dict[str, dict[int, Quality]]:
        """Row -> seed -> how good the network is by this metric."""
        return {
            row.name: {seed: _quality(self, row, seed, metric) for seed in row.views}
            for row in (self.baseline, *self.rows)
        }


def _quality(group: Group, row: Row, seed: int, metric: Metric) -> Quality:
    task = row.views[seed].part
    value = task.value(metric.name)
    replicates = np.asarray(task.replicates.get(metric.name, []), dtype=float)
    good = -metric.badness(value) if np.isfinite(value) else np.nan
    # Infinite badness stands for NaN, of which no spread can be computed.
    goods = np.where(np.isfinite(replicates), -metric.badness(replicates), np.nan)
    return Quality(group.key, row.name, seed, float(good), goods, str(task.test_digest))


def sort_runs(runs: Sequence[Results], baseline: Mapping[str, Any]) -> list[Group]:
    """Sort the runs into the groups of a study: a run of several tasks is in one of each.

    Parameters
    ----------
    runs : sequence of Results
        Baselines and pruned runs.
    baseline : mapping
        Dotted options, and the values that a baseline has.

    Raises
    ------
    UserError
        A group has no baseline or no pruned run, runs of one group differ in more than pruning
        and seed or were tested differently, or two runs are the same but for their names.
    """
    if not runs:
        raise UserError("study: expected tested runs, got none")
    found: dict[str, list[TaskView]] = {}
    for task, views in task_views(run_views(runs)).items():
        for view in views:
            model = json.dumps(view.results.config.get("model"), sort_keys=True)
            found.setdefault(f"{task} {model}", []).append(view)
    titles = _titles(list(found.values()))
    return [
        _make_group(number, title, views, baseline)
        for number, (title, views) in enumerate(zip(titles, found.values(), strict=True))
    ]


def _titles(groups: Sequence[Sequence[TaskView]]) -> list[str]:
    """Task and model of each group; numbered where these are alike."""
    names = []
    for views in groups:
        model = views[0].results.config.get("model", {}).get("type") or "model"
        names.append(f"{views[0].task.title}, {model}")
    return [
        name if names.count(name) == 1 else f"{name} ({names[: place + 1].count(name)})"
        for place, name in enumerate(names)
    ]


def _make_group(
    number: int, title: str, views: Sequence[TaskView], baseline: Mapping[str, Any]
) -> Group:
    _refuse_differences(title, views, baseline)
    dense = [view for view in views if _is_baseline(view, baseline)]
    pruned = [view for view in views if view not in dense]
    if not dense or not pruned:
        what = ("a baseline", "pruned ones only") if pruned else ("pruned runs", "baselines only")
        options = ", ".join(f"{key}: {json.dumps(value)}" for key, value in baseline.items())
        raise UserError(f"study: {title}: expected {what[0]} ({options}), got {what[1]}")
    rows: dict[tuple[Series, float], list[TaskView]] = {}
    all_series = _series(pruned)
    for view, series in zip(pruned, all_series, strict=True):
        sparsity = float(_pruning(view).get("final_sparsity", float("nan")))
        rows.setdefault((series, sparsity), []).append(view)
    order = list(dict.fromkeys(all_series))
    places = sorted(rows, key=lambda place: (order.index(place[0]), place[1]))
    return Group(
        key=f"g{number}",
        title=title,
        task=views[0].task.name,
        baseline=Row(None, 0.0, _by_seed(title, dense)),
        rows=[Row(*place, _by_seed(title, rows[place])) for place in places],
    )


def _is_baseline(view: TaskView, baseline: Mapping[str, Any]) -> bool:
    config = view.results.config
    return all(value_at(config, tuple(key.split("."))) == value for key, value in baseline.items())


def _pruning(view: TaskView) -> dict[str, Any]:
    return view.results.config.get("pruning") or {}


def _series(views: Sequence[TaskView]) -> list[Series]:
    """Way of pruning of each run: the schedule, and what tells it from others of that schedule."""
    settings = [flatten(_pruning(view)) for view in views]
    for each in settings:
        each.pop("final_sparsity", None)
    found = []
    for each in settings:
        schedule = str(each.get("schedule", ""))
        alike = [other for other in settings if str(other.get("schedule", "")) == schedule]
        differing = [key for key in differing_keys(alike) if key in each]
        label = ", ".join([schedule or "pruned", *(f"{key} {each[key]}" for key in differing)])
        others = {key: value for key, value in each.items() if key != "schedule"}
        found.append(Series(label, schedule, json.dumps(others, sort_keys=True)))
    return found


def _by_seed(title: str, views: Sequence[TaskView]) -> dict[int, TaskView]:
    seeds: dict[int, TaskView] = {}
    for view in views:
        seed = view.run.seed or 0
        if seed in seeds:
            raise UserError(
                f"study: {title}: '{seeds[seed].label}' and '{view.label}' are alike, seed "
                "included; leave one out"
            )
        seeds[seed] = view
    return dict(sorted(seeds.items()))


def _refuse_differences(title: str, views: Sequence[TaskView], baseline: Mapping[str, Any]) -> None:
    """Raise UserError unless runs differ in pruning and seed only, and were tested alike."""
    obstacles = find_obstacles([view.results for view in views])
    if obstacles:
        raise UserError(f"study: {title}: {obstacles[0]}; test them alike")
    free = (*_FREE, *baseline)
    for key, values in differing_keys([view.results.config for view in views]).items():
        if not any(key == name or key.startswith(f"{name}.") for name in free):
            other = next(place for place, value in enumerate(values) if value != values[0])
            raise UserError(
                f"study: {title}: '{views[0].label}' and '{views[other].label}' differ in {key} "
                f"({values[0]} and {values[other]}); expected runs that differ in pruning and seed"
            )
