"""Results of which something is lost: a box at the place of the loss, or one line of refusal."""

import copy
import json
import math

import pytest

from cherenkov_mlops.commands import compare
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.reporting.html import render_report
from cherenkov_mlops.reporting.losses import find_losses, without
from cherenkov_mlops.results import results_from_json, results_to_json
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages import report
from synthetic import TASKS, make_results

GONE = "gone"
NAN = math.nan

#: Path of the value, and what stands there instead; the place where the page says so.
SHOWN = [
    (("run", "mode"), GONE, "verdict"),
    (("run", "seed"), "three", "verdict"),
    (("data", "train"), GONE, "data"),
    (("data", "test", "signal"), "many", "data"),
    (("data", "cuts"), NAN, "data"),
    (("data", "cuts", 0, "signal"), NAN, "data"),
    (("data", "test_digest"), GONE, "data"),
    (("data", "n_invalid"), NAN, "data"),
    (("data", "energy", "signal"), "spectrum", "data"),
    (("data", "findings"), "none", "data"),
    (("data", "findings", 0, "level"), "terrible", "data"),
    (("data", "simulation", 0, "productions"), GONE, "data"),
    (("data", "simulation", 0, "pointings", 0), [20.0], "data"),
    (("evaluation", "threshold"), GONE, "metrics"),
    (("facts", "mmacs"), "fast", "model"),
    (("facts", "model_size_mb"), NAN, "model"),
    (("metrics", "auc"), GONE, "metrics"),
    (("metrics", "auc", "value"), NAN, "metrics"),
    (("metrics", "accuracy", "value"), "good", "metrics"),
    (("metrics", "f1", "low"), GONE, "metrics"),
    (("metrics", "brier_score", "n"), "all", "metrics"),
    (("metrics", "log_loss"), 0.3, "metrics"),
    (("replicates", "auc"), GONE, "metrics"),
    (("replicates", "recall"), ["a", "b"], "metrics"),
    (("figures", "roc"), GONE, "figure-roc"),
    (("figures", "roc", "signal_efficiency"), "high", "figure-roc"),
    (("figures", "gammaness", "signal"), NAN, "figure-gammaness"),
    (("figures", "gammaness", "edges"), [0.0, 1.0], "figure-gammaness"),
    (("figures", "auc_by_energy", "value"), GONE, "figure-auc_by_energy"),
    (
        ("figures", "confusion_matrix", "counts"),
        [["a", "b"], ["c", "d"]],
        "figure-confusion_matrix",
    ),
    (("figures", "loss", "val_loss"), 7, "figure-loss"),
    (("training", "history", "loss"), GONE, "training"),
    (("training", "best_epoch"), "last", "training"),
    (("model", "summary"), 5, "model"),
    (("config",), {}, "config"),
    (("config_changes", "train.n_epochs"), 8, "config"),
    (("provenance", "versions"), GONE, "provenance"),
    (("examples",), GONE, "examples"),
    (("examples", "events", 1, "image"), "bright", "examples"),
]
REFUSED = [
    (("run",), GONE),
    (("run", "name"), GONE),
    (("run", "task"), "spectrum"),
    (("run", "created"), NAN),
    (("run", "classes"), "gamma"),
    (("schema_version",), "one"),
    (("metrics",), "all"),
    (("figures",), NAN),
]


@pytest.fixture(scope="module")
def sound() -> dict:
    """Content of a complete ``metrics.json``."""
    return results_to_json(make_results("type", n_events=300))


def _broken(sound: dict, path: tuple, value: object) -> str:
    """Text of a ``metrics.json`` with one value replaced, as Python would write it."""
    content = copy.deepcopy(sound)
    # Nothing to draw is no loss: only the figure in question, or the pages take minutes.
    wanted = path[1] if path[0] == "figures" and len(path) > 1 else "roc"
    content["figures"] |= {name: {} for name in content["figures"] if name != wanted}
    place = content
    for key in path[:-1]:
        place = place[key]
    if value is GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(content)


def _name(path: tuple) -> str:
    return ".".join(map(str, path))


@pytest.mark.parametrize(("path", "value", "place"), SHOWN, ids=lambda item: str(item)[:60])
def test_one_lost_value_gives_a_box_at_its_place_and_strict_refuses(sound, path, value, place):
    run = results_from_json(_broken(sound, path, value), "metrics.json")
    page = render_report(run)
    keys = path[: next((i for i, key in enumerate(path) if isinstance(key, int)), len(path))]
    assert page.count('class="lost"') == 1
    box = page.index('class="lost"')
    assert f"<code>{'.'.join(keys[:2])}" in page[box : box + 400]
    starts = [start for start in (page.find(f'id="{place}"'),) if start >= 0]
    assert starts and starts[0] < box
    following = page.find('<figure class="card' if "figure-" in place else "<section", starts[0])
    assert following < 0 or box < following
    with pytest.raises(UserError) as caught:
        render_report(run, strict=True)
    assert ".".join(keys[:2]) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("path", "value"), REFUSED, ids=lambda item: str(item)[:60])
def test_without_what_a_page_cannot_do_the_file_is_refused_in_one_line(sound, path, value):
    with pytest.raises(UserError) as caught:
        results_from_json(_broken(sound, path, value), "metrics.json")
    assert str(caught.value).startswith("metrics.json: expected")
    assert "\n" not in str(caught.value)


def test_there_are_thirty_variants_and_more():
    assert len({_name(path) for path, *_ in SHOWN + REFUSED}) >= 30


@pytest.mark.parametrize("task", TASKS)
def test_complete_results_lose_nothing_and_pass_strict(task):
    run = make_results(task)
    assert find_losses(run) == []
    assert 'class="lost"' not in render_report(run, strict=True)


def test_results_from_before_the_checks_lose_nothing():
    run = make_results()
    for name in ("findings", "simulation"):
        del run.data[name]
    page = render_report(run, strict=True)
    assert 'class="lost"' not in page
    assert "What was simulated" not in page


def test_what_is_lost_is_taken_out_of_a_copy():
    run = make_results(n_events=100)
    before = copy.deepcopy(run)
    run.metrics["auc"]["value"] = "high"
    before.metrics["auc"]["value"] = "high"
    mended = without(run, find_losses(run))
    assert "value" not in mended.metrics["auc"]
    assert run == before


def test_the_loss_of_one_run_stands_in_the_comparison(tmp_path, run_folders):
    path = run_folders[1] / "metrics.json"
    content = json.loads(path.read_text())
    del content["figures"]["roc"], content["metrics"]["auc"]
    path.write_text(json.dumps(content))
    compare.run(run_folders, tmp_path / "comparison.html", baseline="good")
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "alike: <code>figures.roc</code> is missing" in page
    assert "alike: <code>metrics.auc</code> is missing" in page
    ranks = json.loads((tmp_path / "comparison.json").read_text())["metrics"]["auc"]["runs"]
    assert {label: run["rank"] for label, run in ranks.items()} == {"good": 1, "alike": 3, "bad": 2}
    with pytest.raises(UserError, match="run 'alike': expected complete results"):
        compare.run(run_folders, tmp_path / "strict.html", strict=True)
    assert not (tmp_path / "strict.html").exists()


def test_a_strict_report_of_incomplete_results_writes_nothing(run_folders):
    path = run_folders[0] / "metrics.json"
    content = json.loads(path.read_text())
    content["facts"]["gflops"] = None
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="facts.gflops expected a valid number, got nothing"):
        report.run(None, RunDir(run_folders[0]), strict=True)
    assert not (run_folders[0] / "report.html").exists()
