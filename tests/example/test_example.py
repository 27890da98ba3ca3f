"""What a stranger adds in one file each runs from prepare to report, by the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulated import study, write_study

SOURCE = Path(__file__).parent / "src"


def program(folder: Path, *words: object) -> str:
    """Run the program as one who has installed the package; what it said."""
    path = os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", "from cherenkov_mlops.cli.app import main; main()"]
        + [str(word) for word in words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def read_metrics(run: Path) -> dict:
    return json.loads((run / "metrics.json").read_text())


@pytest.fixture(scope="module")
def impact_run(dl1_files, tmp_path_factory) -> Path:
    """A run of the fifth task, from prepare to its page, with the stage of the package."""
    folder = tmp_path_factory.mktemp("impact")
    content = study("energy", dl1_files) | {"task": "impact"}
    content["run"] = content["run"] | {"name": "impact"}
    content["model"] = content["model"] | {"head_layers": {"impact": [8, 1]}}
    yaml = write_study(folder, content)
    for words in (["config", "check"], ["prepare"], ["train"], ["test"], ["table"]):
        program(folder, *words, yaml)
    program(folder, "report", yaml, "--strict")
    return folder / "runs" / "impact"


@pytest.fixture(scope="module")
def neighbours_run(dl1_files, tmp_path_factory) -> Path:
    """A run of the model that is no network, for the energy."""
    folder = tmp_path_factory.mktemp("neighbours")
    content = study("energy", dl1_files)
    content["run"] = content["run"] | {"name": "neighbours"}
    content["model"] = {"type": "neighbours", "options": {"n_neighbors": 7}}
    yaml = write_study(folder, content)
    program(folder, "run", yaml)
    program(folder, "report", yaml, "--strict", "--force")
    return folder / "runs" / "neighbours"


def test_the_task_has_its_metrics_and_figures(impact_run):
    found = read_metrics(impact_run)["tasks"]["impact"]
    assert 0 < found["metrics"]["impact_resolution_68"]["value"] < 400
    assert found["metrics"]["impact_resolution_68"]["n"] > 100
    assert "impact_resolution" in found["figures"]
    page = (impact_run / "report.html").read_text()
    assert "Impact distance" in page
    assert "Error of the impact distance" in page


def test_the_stage_is_a_command_and_wrote_its_table(impact_run):
    rows = (impact_run / "table.csv").read_text().splitlines()
    assert rows[0] == "task,metric,value"
    assert rows[1].startswith("impact,impact_resolution_68,")
    stages = json.loads((impact_run / "run.json").read_text())["stages"]
    assert stages["table"]["state"] == "complete"


def test_the_model_beats_a_guess(neighbours_run):
    found = read_metrics(neighbours_run)["tasks"]["energy"]["metrics"]
    # 1 is what always predicting the mean of log10 E gives.
    assert found["rmse_log10_ratio"]["value"] < 0.8


def test_runs_are_compared(impact_run, neighbours_run, dl1_files, tmp_path):
    for run in (impact_run, neighbours_run):
        program(tmp_path, "compare", run, run, "--output", f"{run.name}.html", "--strict")
        assert (tmp_path / f"{run.name}.html").is_file()


def test_other_commands_know_them(impact_run, tmp_path):
    assert "impact" in program(tmp_path, "config", "schema")
    assert "table" in program(tmp_path, "--help")
    assert "impact" in program(tmp_path, "init", "--task", "impact", "--output", "-")
    assert "table" in program(tmp_path, "status", impact_run.parent)
