"""The page about the metrics is the one that the registry makes."""

from pathlib import Path

from cherenkov_mlops.metrics import METRICS
from cherenkov_mlops.metrics.document import describe_metrics

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_names_every_metric():
    page = describe_metrics()
    assert all(f"### `{name}`" in page for name in METRICS)


def test_the_stored_page_is_fresh():
    assert PAGE.read_text(encoding="utf-8") == describe_metrics()
