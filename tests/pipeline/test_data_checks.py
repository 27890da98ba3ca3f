"""What ``prepare`` finds reaches the log, the manifest, the data page and the report."""

import json
from dataclasses import replace

import pytest

from cherenkov_mlops.commands import simulate
from cherenkov_mlops.data.checks import find_in_test_files
from cherenkov_mlops.data.dl1_file import inspect_dl1
from cherenkov_mlops.data.manifest import read_manifest
from cherenkov_mlops.results import read_results
from cherenkov_mlops.stages import prepare
from simulated import load_study, study


@pytest.fixture(scope="module")
def low_proton(tmp_path_factory):
    """Protons from a lower altitude than the gammas, with a softer spectrum."""
    path = tmp_path_factory.mktemp("low") / "proton_low.dl1.h5"
    simulate.run(path, particle="proton", n_images=200, seed=9, zenith_deg=40, spectral_index=-2.7)
    return path


def test_prepare_says_what_it_finds_and_where_the_page_is(dl1_files, low_proton, tmp_path, caplog):
    files = dl1_files | {"proton_train": low_proton}
    config, run_dir = load_study(tmp_path, study("type", files))
    with caplog.at_level("INFO"):
        prepare.run(config, run_dir)
    texts = [record.getMessage() for record in caplog.records]
    assert sum("was simulated at zenith 20 deg" in text for text in texts) == 1
    assert f"prepare: {run_dir.data_page}" in texts
    findings = read_manifest(run_dir).findings
    assert [(finding.level, finding.check) for finding in findings[:2]] == [
        ("failure", "pointing"),
        ("warning", "spectrum"),
    ]
    page = run_dir.data_page.read_text(encoding="utf-8")
    assert "Doubtful" in page and "was simulated at zenith 20 deg" in page
    assert json.loads(run_dir.data_description.read_text())["schema_version"] == 1


def test_test_files_of_another_pointing_are_noticed(low_proton, completed_runs):
    config, run_dir = completed_runs["type"]
    trained = read_manifest(run_dir).inputs
    assert find_in_test_files(config, trained, trained) == []
    tested = replace(trained, files=trained.files | {"background": [inspect_dl1(low_proton)]})
    (finding,) = find_in_test_files(config, trained, tested)
    assert finding.level == "warning" and "zenith 40 deg" in finding.text


def test_results_and_report_carry_what_was_simulated(completed_runs):
    _, run_dir = completed_runs["type"]
    data = read_results(run_dir.metrics).data
    assert [each.name for each in data.simulation] == ["gamma", "proton"]
    assert data.findings == []
    assert "What was simulated" in run_dir.report.read_text(encoding="utf-8")
