"""Measured costs end up in the results; a budget finds the forms that keep up."""

import shutil

import numpy as np
import pytest

from cherenkov_mlops.commands import budget, compress, costs
from cherenkov_mlops.compression.measuring import costs as engine_costs
from cherenkov_mlops.compression.measuring.costs import Costs, measure_speed
from cherenkov_mlops.config.load import open_run
from cherenkov_mlops.config.rates import parse_rate
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.pipeline import chain
from cherenkov_mlops.reporting.relation import pareto_figures
from cherenkov_mlops.reporting.views import run_views, task_views
from cherenkov_mlops.results import read_results

MEASURED = ("latency_ms", "throughput_hz", "peak_memory_mb")


@pytest.fixture(scope="module")
def exports(completed_runs, tmp_path_factory):
    """A trained run and its exports, the first of which is tested."""
    folder = tmp_path_factory.mktemp("costs") / "base"
    config, run_dir = open_run(shutil.copytree(completed_runs["type"][1].path, folder))
    made = compress.run(config, run_dir, ["int8", "onnx"])
    runs = [open_run(each.run_dir.path) for each in made]
    chain.test(*runs[0])
    return (config, run_dir), runs


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Measurements that say little, soon."""
    monkeypatch.setattr(engine_costs, "SECONDS", 0.05)


def facts_of(run):
    return read_results(run[1].metrics).facts


def test_exports_are_found_beside_their_run(exports):
    base, runs = exports
    found = [run_dir.name for _, run_dir in costs.find_exports(base[1])]
    assert found == [run_dir.name for _, run_dir in runs] == ["base_int8", "base_onnx"]


def test_measured_costs_are_facts_of_the_results(exports):
    base, runs = exports
    measured = costs.measure_runs([base, runs[0]])
    for (config, run_dir), each in zip((base, runs[0]), measured, strict=True):
        facts = facts_of((config, run_dir))
        for name in MEASURED:
            assert facts[name] == getattr(each.one_core, name) > 0
        assert costs.cost_facts(config, run_dir, facts["engine"]) == each.facts()
    # Python alone is less than Python with TensorFlow.
    assert measured[1].one_core.peak_memory_mb < measured[0].one_core.peak_memory_mb
    assert Costs.from_dict(measured[0].as_dict()) == measured[0]
    views = run_views([read_results(run_dir.metrics) for _, run_dir in (base, runs[0])])
    (views,) = task_views(views).values()
    assert "pareto_latency_ms" in [entry.name for entry, _ in pareto_figures(views)]
    rows = [costs.describe_costs(each) for each in measured]
    assert [row[0] for row in rows] == ["keras", "int8"]
    assert {len(row) for row in rows} == {len(costs.COST_COLUMNS)}
    said = costs.describe_network(*base)
    assert said.startswith(f"base: {facts_of(base)['n_parameters']:,.0f} parameters, ")
    assert f"{facts_of(base)['mmacs']:.3g} million multiply-accumulates" in said


def test_costs_of_another_file_or_engine_are_not_taken(exports, tmp_path):
    (_, run_dir), runs = exports
    costs.measure_runs([runs[1]])
    other = shutil.copytree(runs[1][1].path, tmp_path / "other")
    config, other_dir = open_run(other)
    assert set(costs.cost_facts(config, other_dir, "onnx")) == set(MEASURED)
    other_dir.exported_model("onnx").write_bytes(b"another")
    assert costs.cost_facts(config, other_dir, "onnx") == {}
    base, _ = open_run(run_dir.path)
    assert costs.cost_facts(base, run_dir, "openvino") == {}


def test_a_failed_measurement_is_one_line(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(
        UserError, match=r"^measuring in a process of its own failed: .*\S$"
    ) as told:
        measure_speed(path, (8, 8, 2), one_core=True)
    assert "\n" not in str(told.value)


def test_a_budget_names_the_best_that_keeps_up(exports):
    base, runs = exports
    found = budget.run(*base, rate_hz=1.0)
    assert {offer.form for offer in found.offers} == {"keras", "int8", "onnx"}
    for offer in found.offers:
        assert offer.rate_hz == max(offer.rates_hz.values()) > 0
    rates = [offer.rate_hz for offer in found.offers]
    assert rates == sorted(rates, reverse=True)
    values = {o.form: o.results.tasks["type"].value("auc") for o in found.offers if o.results}
    assert set(values) == {"keras", "int8"}
    assert found.best.form == max(values, key=values.get)
    advice = budget.advise(found)
    assert found.best.run_dir.name in advice[0]
    assert advice[1:] == [f"not tested yet: cherenkov-mlops test {runs[1][1].path}"]
    rows = {row[0]: row for row in (budget.describe(found, offer) for offer in found.offers)}
    assert rows["onnx"][-1] == "keeps up, not tested"
    assert rows[found.best.form][-1] == "best"
    assert {len(row) for row in rows.values()} == {len(budget.columns(found))}
    budget.check_budget(found)
    too_much = budget.Budget(1e12, found.metric, found.offers)
    assert too_much.best is None
    with pytest.raises(UserError, match=r"expected a form that takes 1,000,000,000,000 images/s"):
        budget.check_budget(too_much)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("1kHz", 1e3), ("1000", 1e3), (" 1.5 kHz", 1.5e3), ("2e3Hz", 2e3), ("0.001MHz", 1e3)],
)
def test_rates(text, rate):
    assert np.isclose(parse_rate(text, "--budget"), rate)


@pytest.mark.parametrize("text", ["", "fast", "1 kilo", "0", "-1kHz", "nan", "1kHz/s", "1e999"])
def test_what_is_no_rate(text):
    with pytest.raises(UserError, match=r"^--budget: expected a rate above zero, as 1kHz"):
        parse_rate(text, "--budget")
