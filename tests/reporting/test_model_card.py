"""The model card: a YAML head that Hugging Face reads, and sections that people read."""

import math

import pytest
from ruamel.yaml import YAML

from cherenkov_mlops.metrics import metrics_of
from cherenkov_mlops.reporting.model_card import render_model_card
from cherenkov_mlops.results import Measured
from cherenkov_mlops.tasks import TASKS as KNOWN_TASKS
from synthetic import TASKS, make_results, only_task

SECTIONS = (
    "Intended use",
    "Training data",
    "Evaluation",
    "Limitations",
    "How to load",
    "Citation",
)


def _head(card: str) -> dict:
    empty, head, _ = card.split("---\n", 2)
    assert empty == ""
    return YAML(typ="safe").load(head)


@pytest.mark.parametrize("task", TASKS)
def test_the_head_holds_what_the_hub_asks_for(task):
    run = make_results(task)
    head = _head(render_model_card(run))
    assert head["library_name"] == "keras"
    assert head["pipeline_tag"] == ("image-classification" if task == "type" else "other")
    assert {"license", "tags", "metrics"} <= set(head)
    (model,) = head["model-index"]
    (result,) = model["results"]
    assert model["name"] == "study"
    assert {"type", "name"} <= set(result["task"])
    assert {"type", "name"} <= set(result["dataset"])
    values = {item["type"]: item["value"] for item in result["metrics"]}
    for name, value in values.items():
        assert value == pytest.approx(only_task(run).metrics[name].value, rel=1e-5)
    known = metrics_of(KNOWN_TASKS[task].kind)
    assert set(head["metrics"]) == {name for name, entry in known.items() if entry.key}
    assert set(values) == {name for name, entry in known.items() if entry.better != "none"}


@pytest.mark.parametrize("task", TASKS)
def test_all_sections_are_there_and_every_metric_with_its_interval(task):
    run = make_results(task)
    card = render_model_card(run)
    assert all(f"\n## {section}\n" in card for section in SECTIONS)
    assert all(f"| `{name}` |" in card for name in metrics_of(KNOWN_TASKS[task].kind))
    assert "| train | 1,000 |" in card
    assert "> 50 phe" in card


def test_warnings_about_the_run_are_limitations():
    run = make_results("type")
    only_task(run).metrics["auc"].value = 0.2
    limitations = render_model_card(run).split("## Limitations")[1].split("## ")[0]
    assert "the classes may be swapped" in limitations


def test_values_that_are_missing_are_left_out_of_the_index():
    run = make_results("type")
    only_task(run).metrics["auc"] = Measured(value=math.nan, low=math.nan, high=math.nan)
    del only_task(run).metrics["accuracy"]
    head = _head(render_model_card(run))
    names = {item["type"] for item in head["model-index"][0]["results"][0]["metrics"]}
    assert not {"auc", "accuracy"} & names
    assert "nan" not in render_model_card(run).lower().replace("nan with", "").replace("nan if", "")


def test_equal_results_give_an_equal_card_without_paths_of_the_machine():
    run = make_results("energy")
    run.data.files = {"signal": [{"path": "/home/someone/gamma_1.dl1.h5", "sha256": "ab"}]}
    card = render_model_card(run)
    assert card == render_model_card(run)
    assert "`gamma_1.dl1.h5`" in card
    assert "/home" not in card
