"""Ratio panels, deviations from a baseline, and the Pareto front, against known answers."""

import copy

import numpy as np
import pytest
from matplotlib.axes import Axes

from cherenkov_mlops.figures import FIGURES, FigureEntry, render_figure
from cherenkov_mlops.metrics import METRICS
from cherenkov_mlops.reporting.relation import (
    add_ratio_panel,
    deviation_figures,
    pareto_figures,
    pareto_front,
)
from cherenkov_mlops.reporting.views import run_views, task_views
from synthetic import make_results


def _draw(ax: Axes, *, x, y, label, style):
    """Two numbers."""
    ax.plot(x, y, label=label, **style)
    ax.axhline(1)


LINE = FigureEntry("line", _draw, "type", "Line", dict, True, {"xlabel": "x", "ylabel": "y"})


@pytest.fixture(scope="module")
def views():
    runs = [make_results("energy", name, noise=noise, n_events=800) for name, noise in RUNS.items()]
    return _views(runs)


RUNS = {"base": 1.0, "worse": 2.0}


def _views(runs):
    (found,) = task_views(run_views(runs)).values()
    return found


def _ratios(views, arrays: list[dict]) -> list[np.ndarray]:
    drawn = list(zip(views, arrays, strict=True))
    page = render_figure(LINE, [(view.label, values) for view, values in drawn])
    add_ratio_panel(page, LINE, drawn, views[0])
    upper, lower = page.axes
    assert (upper.get_xlabel(), lower.get_xlabel()) == ("", "x")
    assert "base" in lower.get_ylabel()
    return [line.get_ydata() for line in lower.lines[1:]]


def test_a_ratio_panel_divides_by_the_baseline(views):
    arrays = [{"x": [1, 2, 3], "y": [2.0, 4.0, 0.0]}, {"x": [1, 2, 3], "y": [1.0, 8.0, 5.0]}]
    base, other = _ratios(views, arrays)
    np.testing.assert_array_equal(base, [1, 1, np.nan])
    np.testing.assert_array_equal(other, [0.5, 2, np.nan])


def test_other_points_are_divided_by_the_line_between_those_of_the_baseline(views):
    arrays = [{"x": [0, 2], "y": [2.0, 4.0]}, {"x": [1, 2, 3], "y": [3.0, 2.0, 1.0]}]
    np.testing.assert_array_equal(_ratios(views, arrays)[1], [1, 0.5, np.nan])


def test_without_the_baseline_there_is_no_panel(views):
    page = render_figure(LINE, [("worse", {"x": [1], "y": [1]})])
    add_ratio_panel(page, LINE, [(views[1], {"x": [1], "y": [1]})], views[0])
    assert len(page.axes) == 1


def test_deviations_are_percent_of_the_baseline(views):
    changed = copy.deepcopy(views[1].results)
    changed_figures = changed.tasks["energy"].figures
    base = views[0].part.figures["energy_resolution"]
    for name in ("value", "low", "high"):
        values = base[name]
        changed_figures["energy_resolution"][name] = [
            None if value is None else 1.5 * value for value in values
        ]
    runs = _views([views[0].results, changed])
    figures = {entry.name: drawn for entry, drawn in deviation_figures(runs, runs[0])}
    ((view, arrays),) = figures["energy_resolution_deviation"]
    assert view.label == "worse"
    deviation = np.array(arrays["deviation"], dtype=float)
    assert np.isfinite(deviation).sum() > 5
    np.testing.assert_allclose(deviation[np.isfinite(deviation)], 50)
    entry = next(e for e, _ in deviation_figures(runs, runs[0]) if "resolution" in e.name)
    assert "Below zero" in entry.caption
    assert render_figure(entry, [("worse", arrays)]).axes[0].lines


def test_the_front_holds_what_no_run_beats_in_both():
    points = [(1, 0.7), (2, 0.9), (3, 0.8), (4, 0.95), (2, 0.85)]
    numbers = [{"cost": cost, "quality": quality} for cost, quality in points]
    assert pareto_front(numbers, METRICS["auc"]) == ([1, 2, 4], [0.7, 0.9, 0.95])
    assert pareto_front(numbers, METRICS["energy_resolution_68"]) == ([1], [0.7])


def test_cost_and_quality_are_drawn_for_each_cost_that_is_known(views):
    runs = [copy.deepcopy(view.results) for view in views]
    del runs[0].facts["mmacs"]
    figures = pareto_figures(_views(runs))
    assert [entry.name for entry, _ in figures] == [
        "pareto_model_size_zipped_mb",
        "pareto_network_time_ms",
    ]
    entry, drawn = figures[0]
    page = render_figure(entry, [(view.label, arrays) for view, arrays in drawn])
    assert [text.get_text() for text in page.axes[0].get_legend().get_texts()] == ["base", "worse"]


def test_the_registry_has_curves_to_relate():
    assert {"energy_resolution", "angular_resolution", "roc"} <= set(FIGURES)
