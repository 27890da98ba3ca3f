"""Figures on the page of a study."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cherenkov_mlops.figures import figures_of
from cherenkov_mlops.figures.study import metric_by_sparsity, quality_by_cost, size_by_sparsity
from cherenkov_mlops.figures.style import run_style
from cherenkov_mlops.metrics import METRICS, Metric
from cherenkov_mlops.reporting.figure_blocks import Block, make_block
from cherenkov_mlops.reporting.relation import deviation_figures
from cherenkov_mlops.reporting.study.numbers import SIZES
from cherenkov_mlops.reporting.study.runs import Group, Row
from cherenkov_mlops.reporting.views import Line, TaskView

#: What quality is shown against. Of the times, the first that is known.
_COSTS = {"model_size_zipped_mb": "zipped size", "model_size_packed_mb": "packed size"}
_TIMES = {"latency_ms": "latency", "network_time_ms": "network time"}
#: Pruned runs whose curves are shown beside those of a baseline.
_N_EXAMPLES = 3
_BASELINE = "baseline"
_BY_ENERGY = "_by_energy"


def sparsity_blocks(group: Group) -> list[Block]:
    """Each metric against sparsity."""
    return [
        make_block(
            metric_by_sparsity(metric, f"{group.key}_{metric.name}"),
            [
                (Line(label, run_style(place)), _spread(rows, metric))
                for place, label, rows in _lines(group)
            ],
        )
        for metric in group.metrics
    ]


def cost_blocks(group: Group) -> list[Block]:
    """Sizes against sparsity, and quality against each cost that is known."""
    rows = [group.baseline, *group.rows]
    sizes = [
        (Line(label, run_style(place)), _sizes(rows, fact))
        for place, (fact, label) in enumerate(SIZES.items())
        if np.isfinite([row.fact(fact) for row in rows]).all()
    ]
    blocks = [make_block(size_by_sparsity(f"{group.key}_size"), sizes)] if sizes else []
    known = [
        name
        for name in (*_COSTS, *_TIMES)
        if name in METRICS and np.isfinite([row.fact(name) for row in rows]).all()
    ]
    times = [name for name in _TIMES if name in known]
    shown = [name for name in known if name not in times[1:]]
    return blocks + [_pareto_block(group, METRICS[name]) for name in shown]


def curve_blocks(group: Group) -> list[Block]:
    """Curves and distributions of a baseline and of a few pruned runs, all of one seed."""
    views = example_views(group)
    blocks = []
    for entry in figures_of(group.kind).values():
        if not entry.overlay and not entry.name.endswith(_BY_ENERGY):
            continue
        drawn = [(view, view.part.figures.get(entry.name)) for view in views]
        drawn = [(view, arrays) for view, arrays in drawn if arrays]
        if len(drawn) > 1:
            own = replace(entry, name=f"{group.key}_{entry.name}")
            blocks.append(make_block(own, drawn, reference=drawn[0][0]))
    for entry, drawn in deviation_figures(views, views[0]):
        blocks.append(make_block(replace(entry, name=f"{group.key}_{entry.name}"), drawn))
    return sorted(blocks, key=lambda block: block.wide)


def example_views(group: Group) -> list[TaskView]:
    """A baseline, and pruned runs of the first series: least, up to 90 %, and most sparse."""
    rows = [row for row in group.rows if row.series == group.series[0]]
    moderate = [row for row in rows if row.sparsity <= 0.9]
    chosen = [rows[0], (moderate or rows)[-1], rows[-1]][:_N_EXAMPLES]
    chosen = list({row.name: row for row in chosen}.values())
    found = [(_BASELINE, group.baseline), *((row.name, row) for row in chosen)]
    return [_example(label, row, place) for place, (label, row) in enumerate(found)]


def _example(label: str, row: Row, place: int) -> TaskView:
    view = next(iter(row.views.values()))
    if row.series:
        label = f"{row.series.label} {100 * row.sparsity:g} %"
    return replace(view, label=label, style=run_style(place))


def _lines(group: Group) -> list[tuple[int, str, list[Row]]]:
    """Place, label and rows of the baseline and of each series."""
    lines = [(_BASELINE, [group.baseline])]
    lines += [
        (series.label, [row for row in group.rows if row.series == series])
        for series in group.series
    ]
    return [(place, label, rows) for place, (label, rows) in enumerate(lines)]


def _spread(rows: Sequence[Row], metric: Metric) -> dict[str, Any]:
    """Arrays of ``metric_by_sparsity``."""
    values = [[view.part.value(metric.name) for view in row.views.values()] for row in rows]
    columns = {
        name: [float(summarise(each)) for each in values]
        for name, summarise in (("mean", np.mean), ("low", np.min), ("high", np.max))
    }
    if rows[0].series is None:
        return {"sparsity": [], **{name: column[0] for name, column in columns.items()}}
    return {"sparsity": [100 * row.sparsity for row in rows], **columns}


def _sizes(rows: Sequence[Row], fact: str) -> dict[str, Any]:
    sparsities = sorted({row.sparsity for row in rows})
    means = [
        float(np.mean([row.fact(fact) for row in rows if row.sparsity == each]))
        for each in sparsities
    ]
    return {"sparsity": [100 * each for each in sparsities], "size": means}


def _pareto_block(group: Group, cost: Metric) -> Block:
    metric = group.metrics[0]
    front = _front([group.baseline, *group.rows], metric, cost)
    drawn = []
    for place, label, rows in _lines(group):
        spread = _spread(rows, metric)
        points = {
            "cost": [row.fact(cost.name) for row in rows],
            "quality": np.atleast_1d(spread["mean"]).tolist(),
            "low": np.atleast_1d(spread["low"]).tolist(),
            "high": np.atleast_1d(spread["high"]).tolist(),
            "sparsity": [100 * row.sparsity for row in rows],
            "front": [row.name in front for row in rows],
        }
        drawn.append((Line(label, run_style(place)), points))
    words = (_COSTS | _TIMES)[cost.name]
    return make_block(quality_by_cost(metric, cost, words, f"{group.key}_{cost.name}"), drawn)


def _front(rows: Sequence[Row], metric: Metric, cost: Metric) -> set[str]:
    """Names of the rows that no other beats in both."""
    points = {
        row.name: (row.fact(cost.name), float(metric.badness(row.value(metric.name))))
        for row in rows
    }
    return {
        name
        for name, (own, bad) in points.items()
        if not any(
            other <= own and worse <= bad and (other, worse) != (own, bad)
            for other, worse in points.values()
        )
    }
