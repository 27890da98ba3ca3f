"""The page about the metrics is the one that the registry makes."""

from pathlib import Path

import pytest

from cherenkov_mlops.metrics import METRICS
from cherenkov_mlops.metrics.document import describe_metrics

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_names_every_metric():
    page = describe_metrics()
    assert all(f"| `{name}` |" in page for name in METRICS)


@pytest.mark.parametrize("name", [n for n, entry in METRICS.items() if entry.kind != "generic"])
def test_a_metric_of_events_states_formula_and_source(name):
    entry = METRICS[name]
    assert entry.formula
    assert entry.source
    assert "Formula" not in entry.doc
    assert f"- Formula: {entry.formula}\n- Source: {entry.source}" in describe_metrics()


def test_the_stored_page_is_fresh():
    assert PAGE.read_text(encoding="utf-8") == describe_metrics()
