"""Results of which something is lost: a box at the place of the gap, or one line of refusal."""

import copy
import json
import math
from itertools import count

import pytest

from cherenkov_mlops.commands import compare
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.figures import FIGURES
from cherenkov_mlops.reporting import figure_blocks
from cherenkov_mlops.reporting.gaps import mend
from cherenkov_mlops.reporting.html import render_report
from cherenkov_mlops.results import results_from_json, results_to_json
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages import report
from synthetic import TASKS, as_version_1, make_results

GONE = "gone"
NAN = math.nan
TASK = ("tasks", "type")

#: Path of the value, and what stands there instead; the place where the page says so.
SHOWN = [
    (("run", "mode"), GONE, "verdict"),
    (("run", "seed"), "three", "verdict"),
    (TASK, {}, "verdict"),
    (("data", "train"), GONE, "data"),
    (("data", "cuts"), NAN, "data"),
    (("data", "cuts", 0, "signal"), NAN, "data"),
    (("data", "energy", "signal"), "spectrum", "data"),
    (("data", "findings"), "none", "data"),
    (("data", "findings", 0, "level"), "terrible", "data"),
    (("data", "simulation", 0, "productions"), GONE, "data"),
    (("data", "simulation", 0, "pointings", 0), [20.0], "data"),
    ((*TASK, "test", "signal"), "many", "data"),
    ((*TASK, "test_digest"), GONE, "data"),
    ((*TASK, "n_invalid"), NAN, "data"),
    ((*TASK, "predictions", "n_distinct"), "few", "data"),
    (("evaluation", "threshold"), GONE, "metrics"),
    (("facts", "mmacs"), "fast", "model"),
    (("facts", "model_size_mb"), NAN, "model"),
    (("metrics", "mmacs"), GONE, "model"),
    ((*TASK, "metrics", "auc"), GONE, "metrics"),
    ((*TASK, "metrics", "auc", "value"), NAN, "metrics"),
    ((*TASK, "metrics", "accuracy", "value"), "good", "metrics"),
    ((*TASK, "metrics", "f1", "low"), GONE, "metrics"),
    ((*TASK, "metrics", "brier_score", "n"), "all", "metrics"),
    ((*TASK, "metrics", "log_loss"), 0.3, "metrics"),
    ((*TASK, "replicates", "auc"), GONE, "metrics"),
    ((*TASK, "replicates", "recall"), ["a", "b"], "metrics"),
    ((*TASK, "figures", "roc"), GONE, "figure-roc"),
    ((*TASK, "figures", "roc", "signal_efficiency"), "high", "figure-roc"),
    ((*TASK, "figures", "gammaness", "signal"), NAN, "figure-gammaness"),
    ((*TASK, "figures", "gammaness", "edges"), [0.0, 1.0], "figure-gammaness"),
    ((*TASK, "figures", "auc_by_energy", "value"), GONE, "figure-auc_by_energy"),
    (
        (*TASK, "figures", "confusion_matrix", "counts"),
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
    ((*TASK, "examples"), GONE, "examples"),
    ((*TASK, "examples", "events", 1, "image"), "bright", "examples"),
]
REFUSED = [
    (("run",), GONE),
    (("run", "name"), GONE),
    (("run", "tasks"), GONE),
    (("run", "tasks"), ["spectrum"]),
    (("run", "created"), NAN),
    (("run", "classes"), "gamma"),
    (("schema_version",), "one"),
    (("tasks",), ["type"]),
    (TASK, "all"),
    ((*TASK, "metrics"), "all"),
    ((*TASK, "figures"), NAN),
]
#: Drawn when it is not what is lost.
KEPT = {"roc", "gammaness", "auc_by_energy", "confusion_matrix", "loss"}


@pytest.fixture(scope="module")
def sound() -> dict:
    """Content of a complete ``metrics.json`` with few figures: nothing to draw is no gap."""
    content = results_to_json(make_results("type", n_events=300))
    for section in (content, content["tasks"]["type"]):
        section["figures"] |= {name: {} for name in section["figures"] if name not in KEPT}
    return content


def _break(content: dict, path: tuple, value: object) -> None:
    """Replace one value, or take it out."""
    place = content
    for key in path[:-1]:
        place = place[key]
    if value is GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = value


def _broken(sound: dict, *changes: tuple[tuple, object]) -> str:
    """Text of a ``metrics.json`` with values replaced, as Python would write it."""
    content = copy.deepcopy(sound)
    for path, value in changes:
        _break(content, path, value)
    return json.dumps(content)


def _keys(path: tuple) -> tuple[str, ...]:
    """Keys up to the first list."""
    return path[: next((i for i, key in enumerate(path) if isinstance(key, int)), len(path))]


@pytest.fixture(scope="module")
def boxes(sound) -> dict[tuple, str]:
    """Path of a gap -> the page that shows it; gaps that do not touch share a page."""
    pages: list[list] = []
    for path, value, place in SHOWN:
        for number in count():
            if number == len(pages):
                pages.append([])
            # A box lists six gaps at most; one that is inside another cannot be seen.
            others = [_keys(other) for other, *_ in pages[number]]
            own = _keys(path)
            touch = any(own[: len(o)] == o or o[: len(own)] == own for o in others)
            if not touch and sum(other == place for *_, other in pages[number]) < 5:
                pages[number].append((path, value, place))
                break
    found = {}
    for cases in pages:
        changes = [(path, value) for path, value, _ in cases]
        page = render_report(results_from_json(_broken(sound, *changes), "metrics.json"))
        assert page.count('class="lost"') <= len(cases)
        found |= {(path, str(value)): page for path, value, _ in cases}
    assert len({id(page) for page in found.values()}) < 8
    return found


@pytest.mark.parametrize(("path", "value", "place"), SHOWN, ids=lambda item: str(item)[:60])
def test_one_lost_value_is_one_gap_that_strict_refuses(sound, path, value, place):
    results = results_from_json(_broken(sound, (path, value)), "metrics.json")
    mended, gaps = mend(results)
    place = ".".join(_keys(path)[:4])
    if path == TASK:
        assert {gap.place.removesuffix(".type") for gap in gaps} >= {"tasks"}
    elif path[-1] == "edges":
        # That columns do not fit each other is seen when they are drawn.
        assert gaps == []
    else:
        assert [gap.place[: len(place)] for gap in gaps] == [place]
    with pytest.raises(UserError) as caught:
        render_report(results, strict=True)
    assert ".".join(_keys(path)[:2]) in str(caught.value)
    assert "\n" not in str(caught.value)
    # What is left is complete in itself: it can be written and read again.
    again = results_from_json(json.dumps(results_to_json(mended)), "metrics.json")
    known = [gap.path for gap in gaps]
    assert all(any(gap.path[: len(path)] == path for path in known) for gap in again.gaps)


@pytest.mark.parametrize(("path", "value", "place"), SHOWN, ids=lambda item: str(item)[:60])
def test_a_gap_is_shown_at_its_place(boxes, path, value, place):
    page = boxes[path, str(value)]
    begin = page.index(f'id="{place}"')
    end = page.find('<figure class="card' if "figure-" in place else "<section", begin)
    part = page[begin:end]
    assert 'class="lost"' in part
    assert f"<code>{'.'.join(_keys(path)[:4])}" in part


@pytest.mark.parametrize(("path", "value"), REFUSED, ids=lambda item: str(item)[:60])
def test_without_what_a_page_cannot_do_the_file_is_refused_in_one_line(sound, path, value):
    with pytest.raises(UserError) as caught:
        results_from_json(_broken(sound, (path, value)), "metrics.json")
    assert str(caught.value).startswith("metrics.json: expected")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("task", TASKS)
def test_complete_results_have_no_gaps(task):
    run = make_results(task)
    assert mend(run)[1] == []
    old = results_from_json(json.dumps(as_version_1(run)), "metrics.json")
    assert mend(old)[1] == []


def test_results_of_version_1_have_their_gaps_at_the_new_places():
    content = as_version_1(make_results(n_events=100))
    del content["metrics"]["auc"], content["data"]["test_digest"]
    content["figures"]["roc"]["threshold"] = "all"
    _, gaps = mend(results_from_json(json.dumps(content), "metrics.json"))
    places = [
        "tasks.type.test_digest",
        "tasks.type.metrics.auc",
        "tasks.type.figures.roc.threshold",
    ]
    assert [gap.place for gap in gaps] == places


def test_results_from_before_the_checks_have_no_gaps(sound):
    content = copy.deepcopy(sound)
    for name in ("findings", "simulation"):
        del content["data"][name]
    page = render_report(results_from_json(json.dumps(content), "x"), strict=True)
    assert 'class="lost"' not in page
    assert "What was simulated" not in page


def test_what_is_lost_is_taken_out_of_a_copy():
    run = make_results(n_events=100)
    run.facts["mmacs"] = "fast"
    before = run.model_copy(deep=True)
    mended, (gap,) = mend(run)
    assert str(gap) == "facts.mmacs expected a number, got 'fast'"
    assert "mmacs" not in mended.facts
    assert run == before


def test_an_error_in_a_figure_is_no_gap(sound, monkeypatch):
    """Neither one that its own sample shows, nor one that lost data cannot cause."""
    run = results_from_json(json.dumps(sound), "x")

    def fail(error):
        def draw(ax, **arrays):
            raise error

        return draw

    for error in (ValueError("wrong"), AttributeError("no such thing"), TypeError("none")):
        monkeypatch.setattr(figure_blocks, "figures_of", lambda kind, error=error: {
            "roc": copy.copy(FIGURES["roc"]).__class__(
                **{**vars(FIGURES["roc"]), "draw": fail(error)}
            )
        })  # fmt: skip
        with pytest.raises(type(error), match=str(error)):
            render_report(run)


def test_the_gap_of_one_run_stands_in_the_comparison(tmp_path, run_folders):
    path = run_folders[1] / "metrics.json"
    content = json.loads(path.read_text())
    task = content["tasks"]["type"]
    del task["figures"]["roc"], task["metrics"]["auc"]
    path.write_text(json.dumps(content))
    compare.run(run_folders, tmp_path / "comparison.html", baseline="good")
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "alike: <code>tasks.type.figures.roc</code> is missing" in page
    assert "alike: <code>tasks.type.metrics.auc</code> is missing" in page
    summary = json.loads((tmp_path / "comparison.json").read_text())
    ranks = summary["tasks"]["type"]["metrics"]["auc"]["runs"]
    assert {label: run["rank"] for label, run in ranks.items()} == {"good": 1, "alike": 3, "bad": 2}
    with pytest.raises(UserError, match="run 'alike': expected complete results"):
        compare.run(run_folders, tmp_path / "strict.html", strict=True)
    assert not (tmp_path / "strict.html").exists()


def test_a_strict_report_of_incomplete_results_writes_nothing(run_folders):
    path = run_folders[0] / "metrics.json"
    content = json.loads(path.read_text())
    content["facts"]["gflops"] = None
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"facts\.gflops is missing"):
        report.run(None, RunDir(run_folders[0]), strict=True)
    assert not (run_folders[0] / "report.html").exists()
