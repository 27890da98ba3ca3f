"""The page of a study: verdicts and claims that the made-up results call for."""

import json
import re

import numpy as np
import pytest

from cherenkov_mlops.errors import UserError
from cherenkov_mlops.metrics import METRICS
from cherenkov_mlops.reporting.study.numbers import make_study, summarise_study
from cherenkov_mlops.reporting.study.page import render_study
from cherenkov_mlops.reporting.study.runs import sort_runs
from cherenkov_mlops.results import write_results
from cherenkov_mlops.sweep import pages as study
from studies import make_study_runs
from synthetic import only_task

TIME = "g0_latency_ms" if "latency_ms" in METRICS else "g0_network_time_ms"
OPTIONS = {"baseline": {"pruning": None}, "up_to": 0.9, "tolerated_loss": 0.02}


@pytest.fixture(scope="module")
def runs():
    """Two tasks, one of them with two models."""
    groups = (("type", "SingleCNN"), ("type", "ResNet"), ("energy", "SingleCNN"))
    return [run for task, model in groups for run in make_study_runs(task, model)]


@pytest.fixture(scope="module")
def made(runs):
    """The study, its numbers and its page."""
    found = make_study(runs, **OPTIONS)
    summary = json.loads(json.dumps(summarise_study(found), allow_nan=False))
    return found, summary, render_study(found, title="What pruning costs", summary=summary)


def verdicts(group):
    return {(row["series"], row["sparsity"]): row["verdict"] for row in group["rows"]}


def test_rows_are_judged_as_they_were_made(made):
    _, summary, _ = made
    assert [group["title"] for group in summary["groups"]] == [
        "Particle type, SingleCNN",
        "Particle type, ResNet",
        "Energy, SingleCNN",
    ]
    for group in summary["groups"]:
        found = verdicts(group)
        assert found["polynomial", 0.5] in ("same", "better")
        assert found["polynomial", 0.95] == found["constant", 0.95] == "worse"
        assert len(group["rows"]) == 6


def test_better_follows_the_metric(made):
    _, summary, _ = made
    kinds = {name: METRICS[name].better for g in summary["groups"] for name in g["seed_sd"]}
    assert set(kinds.values()) == {"higher", "lower", "zero"}
    for group in summary["groups"]:
        worst = next(row for row in group["rows"] if row["sparsity"] == 0.95)
        base = group["baseline"]["metrics"]
        for name, difference in worst["differences"].items():
            change = worst["metrics"][name] - base[name]
            if kinds[name] != "zero":
                expected = change if kinds[name] == "higher" else -change
                assert difference["value"] == pytest.approx(expected, abs=1e-9)
                assert np.mean(difference["by_seed"]) == pytest.approx(expected, abs=1e-9)


def test_the_claims_are_answered(made):
    _, summary, _ = made
    schedules, *losses = summary["claims"]
    assert schedules["answer"] == "supported"
    assert 0 < schedules["percent"]["low"] < schedules["percent"]["high"]
    assert [claim["text"] for claim in losses] == [
        "No significant loss up to 90 %, polynomial",
        "No significant loss up to 90 %, constant",
    ]
    assert losses[0]["answer"] in ("supported", "undecided")
    assert all(part["sparsity"] != "95 %" for claim in losses for part in claim["parts"])
    assert len(losses[0]["parts"]) == 6


def test_a_clear_loss_refutes_and_equal_schedules_are_undecided():
    same = make_study(make_study_runs(constant_is_worse=1.0, seeds=(1, 2, 3)), **OPTIONS)
    assert same.claims[0].answer == "undecided"
    lost = make_study(make_study_runs(constant_is_worse=2.5), **OPTIONS)
    answers = {claim.text: claim.answer for claim in lost.claims}
    assert answers["No significant loss up to 90 %, constant"] == "refuted"
    assert lost.claims[0].answer == "supported"


def test_the_same_networks_lose_nothing():
    runs = make_study_runs(constant_is_worse=1.0)
    dense = {run.run.seed: run for run in runs if run.config["pruning"] is None}
    for run in runs:
        twin = dense[run.run.seed]
        run.tasks = twin.tasks
    found = make_study(runs, **OPTIONS)
    assert {row.verdict for group in found.groups for row in group.rows} == {"same"}
    assert [claim.answer for claim in found.claims] == ["undecided", "supported", "supported"]


def test_schedules_are_compared_at_every_sparsity():
    study = make_study(make_study_runs(), **OPTIONS)
    parts = study.claims[0].parts
    assert [part.sparsity for part in parts] == [
        *("50 %", "90 %", "95 %"),
        "mean of 3 sparsities, 6 pairs",
    ]
    assert "6 pairs" in study.claims[0].summary


def test_sparse_rows_do_not_blur_the_others():
    """The spread of a row is pooled over those up to its sparsity."""
    group = make_study(make_study_runs(), **OPTIONS).groups[0]
    metric = group.metrics[0]
    spreads = [
        group.spread_up_to(metric, sparsity)[group.group.key] for sparsity in (0.5, 0.9, 0.95)
    ]
    assert [spread.dof for spread in spreads] == [2, 4, 6]
    assert spreads[-1].variance == group.spreads[metric.name].variance


def test_one_seed_gives_no_verdict():
    found = make_study(make_study_runs(seeds=(1,)), **OPTIONS)
    assert {row.verdict for group in found.groups for row in group.rows} == {"unknown"}
    assert {claim.answer for claim in found.claims} == {"undecided"}
    render_study(found, title="x", summary=summarise_study(found))


def test_the_page_is_whole_and_small(made):
    _, summary, page = made
    assert len(page.encode()) < 3_000_000
    assert page.count('<td class="name verdict-worse">') == sum(
        row["verdict"] == "worse" for group in summary["groups"] for row in group["rows"]
    )
    for text in ("Polynomial beats constant", "95 % interval", "18 rows", "by chance", "packed"):
        assert text in page
    for name in ("g0_auc", "g0_roc_by_energy", "g0_gammaness_by_energy", "g0_size", TIME,
                 "g0_model_size_zipped_mb", "g2_energy_resolution",
                 "g2_energy_resolution_deviation"):  # fmt: skip
        assert f'id="figure-{name}"' in page
    assert not re.search(r'(src|href)="(?!#|data:)', page)
    embedded = re.search(r'id="study">(.*?)</script>', page, re.S).group(1)
    assert json.loads(embedded) == summary


def test_ids_are_there_once(made):
    found = re.findall(r'\bid="([^"]+)"', made[2])
    assert len(found) == len(set(found))


REFUSED = {
    "no baseline": "expected a baseline .pruning: null., got pruned ones only",
    "only baselines": "expected pruned runs .*, got baselines only",
    "other training": r"differ in train.n_epochs .*expected runs that differ in pruning and seed",
    "other events": "differ in the test files",
    "twice": "are alike, seed included",
}


@pytest.mark.parametrize("how", REFUSED)
def test_what_is_no_study_is_refused(how):
    found = make_study_runs()
    if how == "no baseline":
        found = [run for run in found if run.config["pruning"]]
    elif how == "only baselines":
        found = [run for run in found if not run.config["pruning"]]
    elif how == "other training":
        found[3].config["train"] = {"n_epochs": 5}
    elif how == "other events":
        only_task(found[3]).test_digest = "others"
    else:
        found.append(found[0])
    with pytest.raises(UserError, match=REFUSED[how]):
        sort_runs(found, {"pruning": None})


def test_the_command_writes_page_and_numbers(runs, tmp_path):
    paths = [write_results(run, tmp_path / run.run.name / "metrics.json") for run in runs[:7]]
    with pytest.raises(UserError, match="are alike|expected"):
        study.run([paths[0], paths[0]], tmp_path / "study.html")
    paths += [write_results(run, tmp_path / run.run.name / "metrics.json") for run in runs[7:14]]
    study.run([path.parent for path in paths], tmp_path / "study.html")
    study.run(paths, tmp_path / "study.html")
    assert json.loads((tmp_path / "study.json").read_text())["claims"]
    (tmp_path / "other.html").write_text("mine")
    with pytest.raises(UserError, match="exists and is no study"):
        study.run(paths, tmp_path / "other.html")
