"""Invariants that every figure obeys, those not yet written included."""

import io
import json
from functools import cache

import numpy as np
import pytest
from matplotlib.colors import to_hex

from cherenkov_mlops.figures import FIGURES, figure_data, figures_of, render_figure
from cherenkov_mlops.results import plain_values
from synthetic import KIND_TASKS, SETTINGS, make_events, make_training

NAMES = list(FIGURES)


@cache
def _arrays(name: str, n_events: int = 400, noise: float = 1.0) -> dict:
    kind = FIGURES[name].kind
    if kind == "generic":
        source = make_training(noise) if n_events else {}
        return figure_data(source, "generic", SETTINGS)[name]
    return figure_data(make_events(n_events, noise), kind, SETTINGS)[name]


def _panels(page):
    return [ax for ax in page.axes if ax.get_label() != "<colorbar>"]


@pytest.mark.parametrize("name", NAMES)
def test_each_figure_explains_itself(name):
    entry = FIGURES[name]
    assert entry.caption.endswith(".")
    alt_text = entry.alt_text(["first", "second"])
    assert entry.title in alt_text
    assert "first, second" in alt_text


@pytest.mark.parametrize("name", NAMES)
def test_arrays_survive_json(name):
    arrays = _arrays(name)
    assert arrays
    assert json.loads(json.dumps(arrays, allow_nan=False)) == arrays


@pytest.mark.parametrize("n_runs", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_all_data_of_all_runs_are_inside_the_view(name, n_runs):
    # Later runs reach further: limits frozen at the first run would cut them.
    noises = (0.5, 1.0, 4.0)[:n_runs]
    runs = [(f"noise {noise}", _arrays(name, noise=noise)) for noise in noises]
    page = render_figure(FIGURES[name], runs)
    page.savefig(io.BytesIO(), format="svg")
    panels = _panels(page)
    n_own = len(FIGURES[name].split(runs[0][1]))
    assert len(panels) == n_own * (1 if FIGURES[name].overlay else n_runs)
    for ax in panels:
        assert ax.has_data()
        for data, view in (
            (ax.dataLim.intervalx, ax.get_xlim()),
            (ax.dataLim.intervaly, ax.get_ylim()),
        ):
            margin = 1e-6 * np.ptp(view)
            assert min(view) - margin <= min(data) <= max(data) <= max(view) + margin


@pytest.mark.parametrize("name", NAMES)
def test_without_events_there_is_a_page_and_no_exception(name):
    arrays = _arrays(name, n_events=0)
    if FIGURES[name].kind == "generic":
        assert arrays == {}
        return
    assert set(arrays) == set(_arrays(name))
    page = render_figure(FIGURES[name], [("empty", arrays), ("full", _arrays(name))])
    page.savefig(io.BytesIO(), format="svg")
    page = render_figure(FIGURES[name], [("empty", arrays)])
    page.savefig(io.BytesIO(), format="svg")


@pytest.mark.parametrize("name", [name for name in NAMES if FIGURES[name].overlay])
def test_overlaid_runs_are_told_apart_by_colour_and_line(name):
    runs = [(f"run {index}", _arrays(name)) for index in range(3)]
    ax = _panels(render_figure(FIGURES[name], runs))[0]
    colors = {line.get_color() for line in ax.lines}
    colors |= {to_hex(patch.get_edgecolor()) for patch in ax.patches}
    legends = [legend for legend in (ax.get_legend(), *ax.figure.legends) if legend]
    texts = " ".join(text.get_text() for legend in legends for text in legend.get_texts())
    assert len(colors) >= 3
    assert all(label in texts for label, _ in runs)


def test_a_task_has_its_figures():
    for kind in KIND_TASKS:
        assert list(figure_data(make_events(30), kind, SETTINGS)) == list(figures_of(kind))


def test_plain_values_leave_no_nan():
    assert plain_values({"a": np.array([1.0, np.nan, np.inf])}) == {"a": [1.0, None, None]}
