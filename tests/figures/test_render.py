"""Panels and legends of figures with several runs."""

import io

import pytest

from cherenkov_mlops.figures import FIGURES, figure_data, render_figure
from synthetic import SETTINGS, make_events

N_RUNS = 12


@pytest.fixture(scope="module")
def arrays():
    events = make_events(1500)
    return figure_data(events, "type", SETTINGS) | figure_data(events, "direction", SETTINGS)


def _render(name: str, arrays: dict, n_runs: int):
    page = render_figure(FIGURES[name], [(f"run {n}", arrays[name]) for n in range(n_runs)])
    page.savefig(io.BytesIO(), format="svg")
    return page, [ax for ax in page.axes if ax.get_label() != "<colorbar>"]


@pytest.mark.parametrize("name", ["roc", "reliability", "roc_by_energy", "metrics_by_energy"])
def test_twelve_overlaid_runs_have_one_legend_below_that_hides_nothing(arrays, name):
    page, panels = _render(name, arrays, N_RUNS)
    (legend,) = page.legends
    assert len(legend.get_texts()) == N_RUNS
    lowest = min(ax.get_window_extent().y0 for ax in panels)
    assert legend.get_window_extent().y1 <= lowest
    assert not any(ax.get_legend() for ax in panels)


def test_twelve_overlaid_runs_all_look_different(arrays):
    _, panels = _render("auc_by_energy", arrays, N_RUNS)
    lines = [line for line in panels[0].lines if line.get_label().startswith("run")]
    looks = {(line.get_color(), line.get_linestyle()) for line in lines}
    assert len(looks) == N_RUNS


def test_each_metric_has_its_panel_with_all_runs(arrays):
    _, panels = _render("metrics_by_energy", arrays, 3)
    titles = [ax.get_title() for ax in panels]
    assert len(set(titles)) == len(titles) > 10
    assert all(len(ax.lines) == 3 for ax in panels)


def test_panels_of_classes_stand_in_a_row_for_each_run(arrays):
    _, panels = _render("sky_distribution", arrays, 3)
    titles = [ax.get_title() for ax in panels]
    assert titles[:2] == ["run 0: gamma", "run 0: proton"]
    columns = {ax.get_title(): ax.get_subplotspec().colspan.start for ax in panels}
    assert columns["run 0: gamma"] % 2 == columns["run 2: gamma"] % 2 == 0


def test_a_single_run_has_no_legend_that_names_it(arrays):
    page, panels = _render("roc_by_energy", arrays, 1)
    assert not page.legends
    assert not any(ax.get_legend() for ax in panels)


def test_only_outer_panels_carry_the_label_that_they_share(arrays):
    _, panels = _render("roc_by_energy", arrays, 1)
    assert sum(bool(ax.get_ylabel()) for ax in panels) == -(-len(panels) // 4)
    assert sum(bool(ax.get_xlabel()) for ax in panels) == 4
