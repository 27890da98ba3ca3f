"""Report and comparison as files: content, structure, nothing from outside."""

import copy
import json
import re

import pytest

from cherenkov_mlops.commands import compare
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.figures import figures_of
from cherenkov_mlops.metrics import metrics_of
from cherenkov_mlops.reporting.html import embed_json, render_report
from cherenkov_mlops.results import Finding, results_from_json, results_to_json, write_results
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages import report
from cherenkov_mlops.tasks import TASKS as KNOWN_TASKS
from page_checks import check_page
from synthetic import TASKS, as_version_1, make_results, only_task


@pytest.mark.parametrize("task", TASKS)
def test_a_report_shows_every_metric_and_figure_of_its_task(tmp_path, task):
    run_dir = RunDir(tmp_path / "run")
    write_results(make_results(task), run_dir.metrics)
    report.run(None, run_dir)
    text = run_dir.report.read_text(encoding="utf-8")
    page = check_page(text)
    names = [*figures_of(KNOWN_TASKS[task].kind), *figures_of("generic")]
    assert {f"figure-{name}" for name in names} <= set(page.ids)
    assert all(f"<code>{name}</code>" in text for name in metrics_of(KNOWN_TASKS[task].kind))
    assert len(text) < 1_500_000


def test_equal_results_give_equal_bytes(three_runs):
    assert render_report(three_runs[0]) == render_report(copy.deepcopy(three_runs[0]))


def test_a_report_says_what_was_simulated_and_what_the_checks_found(three_runs):
    run = copy.deepcopy(three_runs[0])
    odd = Finding("warning", "core", "Cores <too near> the array.")
    run.data.findings.append(odd)
    text = render_report(run)
    data = text[text.index('id="data"') : text.index('id="training"')]
    assert data.index("Cores &lt;too near&gt; the array.") < data.index("Telescopes 7 have no")
    for words in ("What was simulated", "0.5 to 300", "up to 5", "gamma (900)", "180"):
        assert words in data
    assert "The check of the files ended with a warning" in text[: text.index('id="data"')]


def test_a_doubtful_data_set_is_a_failure_at_the_top(three_runs):
    run = copy.deepcopy(three_runs[0])
    run.data.findings.append(Finding("failure", "pointing", "Not alike."))
    text = render_report(run)
    assert text.index('aria-label="Failures"') < text.index("Not alike.") < text.index('id="data"')
    assert text.count("<strong>Failure</strong> Not alike.") == 1


def test_what_users_write_is_text_and_not_markup(three_runs):
    run = copy.deepcopy(three_runs[0])
    evil = "</script><script>alert(1)</script>"
    run.run.title = run.run.name = evil
    run.run.classes = {"signal": "<b>", "background": "&"}
    run.config["run"]["name"] = evil
    run.model.summary = evil
    only_task(run).figures["gammaness"]["signal_name"] = "<b>"
    text = render_report(run)
    assert "<script>alert" not in text
    assert "<b>" not in text
    check_page(text)


def test_embedded_json_is_json_without_markup():
    text = embed_json({"a": "</script>&<!--"})
    assert "<" not in text
    assert json.loads(text) == {"a": "</script>&<!--"}


def test_a_run_that_was_not_tested_names_the_command(tmp_path):
    with pytest.raises(UserError, match="run 'cherenkov-mlops test'"):
        report.run(None, RunDir(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_comparison_ranks_runs_and_lists_what_differs(tmp_path, run_folders):
    output = tmp_path / "out" / "comparison.html"
    compare.run(run_folders, output, baseline="bad")
    text = output.read_text(encoding="utf-8")
    page = check_page(text)
    assert {f"figure-{name}" for name in figures_of("type")} <= set(page.ids)
    summary = json.loads(output.with_suffix(".json").read_text())
    assert summary["ranked"]
    assert summary["baseline"] == "bad"
    ranks = {
        label: run["rank"]
        for label, run in summary["tasks"]["type"]["metrics"]["auc"]["runs"].items()
    }
    assert ranks == {"good": 1, "alike": 1, "bad": 3}
    differing = summary["config_differences"]
    assert set(differing) == {"run.name", "train.optimizer.base_learning_rate"}
    assert text.index('id="ranks"') < text.index('id="figures"') < text.index('id="config"')
    assert sorted(path.name for path in output.parent.iterdir()) == [
        "comparison.html",
        "comparison.json",
    ]


def test_run_folders_json_files_and_reports_give_the_same_comparison(tmp_path, run_folders):
    for folder in run_folders:
        report.run(None, RunDir(folder))
    for kind, name in (("folders", ""), ("json", "metrics.json"), ("pages", "report.html")):
        compare.run([folder / name for folder in run_folders], tmp_path / f"{kind}.html")
    pages = [(tmp_path / f"{kind}.html").read_bytes() for kind in ("folders", "json", "pages")]
    assert pages[0] == pages[1] == pages[2]


def _change_task(run):
    run.run.tasks = ["energy"]
    run.tasks = {"energy": run.tasks["type"]}


def _change_files(run):
    only_task(run).test_digest = "f" * 64


def _change_bins(run):
    run.evaluation.energy_edges_tev = [0.1, 1.0, 10.0]


def _change_definitions(run):
    run.evaluation.definitions_version = 0


def _change_events(run):
    for entry in only_task(run).metrics.values():
        entry.n = 599


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_change_task, "differ in the task: type and energy"),
        (_change_files, "differ in the test files"),
        (_change_bins, "differ in the setting energy_edges_tev: 26 values from 0.01 to 1000"),
        (_change_definitions, "differ in the setting definitions_version"),
        (_change_events, "differ in the number of tested events: 600 and 599"),
    ],
)
def test_runs_that_measure_different_things_are_refused_in_one_line(
    tmp_path, run_folders, three_runs, change, reason
):
    other = copy.deepcopy(three_runs[1])
    change(other)
    write_results(other, run_folders[1] / "metrics.json")
    output = tmp_path / "out" / "comparison.html"
    with pytest.raises(UserError, match=reason) as caught:
        compare.run(run_folders[:2], output)
    assert "\n" not in str(caught.value)
    assert not output.parent.exists()
    compare.run(run_folders[:2], output, allow_different_data=True)
    assert "no ranks" in output.read_text(encoding="utf-8")
    assert not json.loads(output.with_suffix(".json").read_text())["ranked"]


def test_settings_that_change_no_meaning_do_not_hinder(tmp_path, run_folders, three_runs):
    other = copy.deepcopy(three_runs[1])
    other.evaluation.n_bootstrap = 20
    task = only_task(other)
    task.replicates = {name: values[:20] for name, values in task.replicates.items()}
    write_results(other, run_folders[1] / "metrics.json")
    compare.run(run_folders, tmp_path / "comparison.html")
    assert json.loads((tmp_path / "comparison.json").read_text())["ranked"]


def test_equal_names_are_numbered_and_an_unknown_baseline_is_refused(tmp_path, run_folders):
    compare.run([run_folders[0], run_folders[0]], tmp_path / "comparison.html")
    summary = json.loads((tmp_path / "comparison.json").read_text())
    assert [run["label"] for run in summary["runs"]] == ["good (1)", "good (2)"]
    with pytest.raises(UserError, match="did you mean 'good'"):
        compare.run(run_folders, tmp_path / "other.html", baseline="goood")
    with pytest.raises(UserError, match="got none"):
        compare.run([], tmp_path / "other.html")


def test_a_page_without_results_is_refused(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("<p>hello</p>")
    with pytest.raises(UserError, match="expected a report with its results inside"):
        compare.run([path], tmp_path / "comparison.html")


def test_tasks_of_different_kinds_stand_side_by_side(tmp_path, run_folders):
    write_results(make_results("energy", "other"), tmp_path / "other" / "metrics.json")
    output = tmp_path / "comparison.html"
    compare.run([run_folders[0], tmp_path / "other"], output, allow_different_data=True)
    page = check_page(output.read_text(encoding="utf-8"))
    names = [*figures_of("type"), *figures_of("energy"), *figures_of("generic")]
    assert {f"figure-{name}" for name in names} <= set(page.ids)


def test_the_embedded_results_are_those_of_the_run(three_runs):
    text = render_report(three_runs[0])
    embedded = re.search(r'id="results">(.*?)</script>', text, re.S).group(1)
    assert json.loads(embedded) == json.loads(json.dumps(results_to_json(three_runs[0])))


def test_twelve_runs_stay_readable_and_below_three_megabytes(tmp_path):
    folders = []
    for number in range(12):
        run = make_results("type", f"network_{number}", noise=0.7 + 0.15 * number, network=number)
        folders.append(tmp_path / run.run.name)
        write_results(run, folders[-1] / "metrics.json")
    output = tmp_path / "comparison.html"
    compare.run(folders, output, baseline="network_3")
    text = output.read_text(encoding="utf-8")
    assert len(text.encode()) < 3_000_000
    page = check_page(text)
    assert {"figure-roc", "figure-pareto_mmacs", "ranks", "config"} <= set(page.ids)
    swatches = re.findall(r'stroke="(var[^"]*)" stroke-width="3" stroke-dasharray="([^"]*)"', text)
    assert len(set(swatches)) == 12


@pytest.fixture
def few_figures(run_folders):
    """The run folders with two figures only: a file takes a second each."""
    for folder in run_folders:
        content = json.loads((folder / "metrics.json").read_text())
        kept = ("roc", "gammaness")
        for section in (content, content["tasks"]["type"]):
            figures = section["figures"]
            figures |= {name: {} for name in figures if name not in kept}
        (folder / "metrics.json").write_text(json.dumps(content))
    return run_folders


def test_report_writes_figures_and_the_model_card(tmp_path, few_figures):
    report.run(None, RunDir(few_figures[0]), strict=True, figures=tmp_path / "figures")
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == ["gammaness.pdf", "gammaness.png", "roc.pdf", "roc.png"]
    assert "good" in RunDir(few_figures[0]).model_card.read_text(encoding="utf-8")


def test_compare_writes_figures_without_those_that_are_lost(tmp_path, few_figures):
    path = few_figures[0] / "metrics.json"
    content = json.loads(path.read_text())
    content["tasks"]["type"]["figures"]["roc"]["signal_efficiency"] = "high"
    path.write_text(json.dumps(content))
    folder = tmp_path / "figures"
    compare.run(few_figures[:1], tmp_path / "comparison.html", figures=folder)
    assert sorted(path.name for path in folder.iterdir()) == ["gammaness.pdf", "gammaness.png"]
    compare.run(few_figures, tmp_path / "comparison.html", figures=folder)
    assert (folder / "roc.pdf").stat().st_size > 5_000


def test_the_creation_time_is_an_input(three_runs):
    pages = []
    for created in ("2025-05-06T07:08:09+00:00", "2027-06-07T08:09:10+00:00"):
        run = copy.deepcopy(three_runs[0])
        run.run.created = created
        text = render_report(run)
        assert created in text
        pages.append(text.replace(created, "").replace(created[:16].replace("T", " "), ""))
    assert pages[0] == pages[1]


ALL = ("type", "energy", "cameradirection")


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Folders of runs: two with three tasks, one with two of them."""
    folder = tmp_path_factory.mktemp("several")
    made = (("all", ALL, 1.0), ("worse", ALL, 2.5), ("two", ALL[1:], 1.0))
    for number, (name, tasks, noise) in enumerate(made):
        run = make_results(tasks, name, noise=noise, network=number)
        if name == "all":
            run.tasks["energy"].source = "other_run"
            run.tasks["energy"].predictions.n_most_common = 300
        write_results(run, folder / name / "metrics.json")
    return [folder / name for name, *_ in made]


def test_a_run_of_several_tasks_has_a_section_each(several):
    run_dir = RunDir(several[0])
    report.run(None, run_dir, strict=True)
    text = run_dir.report.read_text(encoding="utf-8")
    page = check_page(text)
    begins = [text.index(f'<section id="task-{task}"') for task in ALL]
    assert begins == sorted(begins)
    for task, begin, end in zip(ALL, begins, [*begins[1:], text.index('id="model"')], strict=True):
        part, kind = text[begin:end], KNOWN_TASKS[task].kind
        assert {f"{task}_metrics", f"{task}_figures", f"{task}_examples"} <= set(page.ids)
        assert all(f"<code>{name}</code>" in part for name in metrics_of(kind))
        assert all(f'id="figure-{name}"' in part for name in figures_of(kind))
        assert part.count('class="card number') == min(
            sum(entry.key for entry in metrics_of(kind).values()), 4
        )
        assert ("one and the same value" in part) == (task == "energy")
        assert ("other_run" in part) == (task == "energy")
    assert "one and the same value" not in text[: begins[1]]
    assert "1 warning" in text[: begins[0]]
    card = run_dir.model_card.read_text(encoding="utf-8")
    assert all(f"### {KNOWN_TASKS[task].title}" in card for task in ALL)


def test_runs_are_ranked_within_each_task_they_share(tmp_path, several):
    output = tmp_path / "comparison.html"
    compare.run(several, output, baseline="all", strict=True)
    check_page(output.read_text(encoding="utf-8"))
    tasks = json.loads(output.with_suffix(".json").read_text())["tasks"]
    assert list(tasks) == list(ALL)
    assert list(tasks["type"]["mean_ranks"]) == ["all", "worse"]
    for task, metric in (("energy", "energy_resolution_68"), ("type", "auc")):
        ranks = {
            label: run["rank"] for label, run in tasks[task]["metrics"][metric]["runs"].items()
        }
        assert ranks["all"] == 1 < ranks["worse"]
    assert list(tasks["energy"]["mean_ranks"]) == ["all", "worse", "two"]


def test_runs_without_a_common_task_are_refused(tmp_path, several, run_folders):
    with pytest.raises(UserError, match="differ in the task: energy, cameradirection and type"):
        compare.run([several[2], run_folders[0]], tmp_path / "comparison.html")


def test_results_of_version_1_give_the_same_page_and_comparison(tmp_path, three_runs):
    run = three_runs[0]
    old = json.dumps(as_version_1(run))
    assert render_report(results_from_json(old, "old")) == render_report(run)
    page = '<script type="application/json" id="results">' + str(embed_json(json.loads(old)))
    (tmp_path / "report.html").write_text(page + "</script>", encoding="utf-8")
    write_results(run, tmp_path / "metrics.json")
    paths = [tmp_path / "report.html", tmp_path / "metrics.json"]
    compare.run(paths, tmp_path / "comparison.html", strict=True)
    ranks = json.loads((tmp_path / "comparison.json").read_text())["tasks"]["type"]["mean_ranks"]
    assert set(ranks.values()) == {1.0}
