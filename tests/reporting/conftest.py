"""Runs of known order for the pages."""

from pathlib import Path

import pytest

from cherenkov_mlops.results import Results, write_results
from synthetic import make_results


@pytest.fixture(scope="session")
def three_runs() -> list[Results]:
    """A good run, one that is as good, and a bad one, tested on the same events."""
    return [
        make_results("type", "good", noise=1.0, network=0),
        make_results("type", "alike", noise=1.0, network=1),
        make_results("type", "bad", noise=3.0, network=2),
    ]


@pytest.fixture
def run_folders(tmp_path, three_runs) -> list[Path]:
    """Run folders of those three."""
    for run in three_runs:
        write_results(run, tmp_path / run.run.name / "metrics.json")
    return [tmp_path / run.run.name for run in three_runs]
