"""Figures as files for a paper."""

import matplotlib.image
import pytest

from cherenkov_mlops.figures import figures_of
from cherenkov_mlops.figures.export import export_figures, paper_look
from synthetic import KIND_TASKS, make_results, only_task


@pytest.mark.parametrize(("kind", "task"), KIND_TASKS.items())
def test_each_figure_of_the_run_becomes_a_pdf_and_a_png(tmp_path, kind, task):
    run = make_results(task, n_events=100)
    run.figures = {}
    paths = export_figures([run], ["study"], tmp_path / "figures")
    expected = {f"{name}.{ending}" for name in figures_of(kind) for ending in ("pdf", "png")}
    assert {path.name for path in paths} == expected
    assert sorted(paths) == sorted((tmp_path / "figures").iterdir())
    for path in paths:
        head = path.read_bytes()[:8]
        assert head.startswith(b"%PDF" if path.suffix == ".pdf" else b"\x89PNG")


def _keep_one(run):
    run.figures, task = {}, only_task(run)
    task.figures = {"energy_resolution": task.figures["energy_resolution"]}


def test_several_runs_are_drawn_together_on_white_at_300_dpi(tmp_path):
    runs = [make_results("energy", name, n_events=100) for name in ("first", "second")]
    for run in runs:
        _keep_one(run)
    paths = export_figures(runs, ["first", "second"], tmp_path)
    (image,) = (path for path in paths if path.name == "energy_resolution.png")
    pixels = matplotlib.image.imread(image)
    assert pixels.shape[1] > 1500
    assert pixels[0, 0].tolist() == [1, 1, 1, 1]


def test_equal_results_give_equal_files(tmp_path):
    runs = [make_results("energy", n_events=100)]
    _keep_one(runs[0])
    once = export_figures(runs, ["study"], tmp_path / "once")
    again = export_figures(runs, ["study"], tmp_path / "again")
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in again]


def test_the_style_sheet_is_packaged_and_makes_print_black_on_white():
    look = paper_look()
    assert look["text.color"] == "black"
    assert look["figure.facecolor"] == "white"
    assert look["savefig.dpi"] == 300
