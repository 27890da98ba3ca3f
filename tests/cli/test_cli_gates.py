"""Quality gates on the command line: exit code 4, and the results stay."""

from dataclasses import replace

import pytest

from cherenkov_mlops.pipeline.stage import STAGES, Stage
from cherenkov_mlops.results import write_results
from synthetic import make_results


@pytest.fixture(params=["evaluate", "test", "run"])
def stage(request, monkeypatch) -> str:
    """A command whose stages need no data, and write results at once."""

    def run(config, run_dir, *, force, **options):
        write_results(make_results("energy", "first", n_events=100), run_dir.metrics)

    quick = {"run": run, "inputs": Stage.inputs}
    for name, entry in STAGES.items():
        monkeypatch.setitem(STAGES._entries, name, replace(entry, **quick))
    return request.param


def test_a_passed_gate_is_not_heard_of(call, study, stage):
    done = call(stage, study, "--fail-over", "energy_resolution_68=0.9", "--fail-under", "r2=-9")
    assert done.returncode == 0
    assert "gate" not in done.stdout + done.stderr


def test_a_failed_gate_ends_with_4_and_keeps_the_results(call, study, stage):
    gates = ("--fail-over", "energy_resolution_68=0.001", "--fail-over", "mae=0")
    done = call(stage, study, *gates)
    assert done.returncode == 4
    assert "energy_resolution_68 = " in done.stderr
    assert "over 0.001; mae = " in done.stderr
    assert (study.parent / "runs" / "first" / "metrics.json").is_file()


@pytest.mark.parametrize("gate", ["energy_resolutoin_68=0.3", "auc=0.9", "mae=small"])
def test_a_mistake_in_a_gate_is_found_before_anything_runs(call, study, stage, gate):
    done = call(stage, study, "--fail-over", gate)
    assert done.returncode == 2
    assert gate in done.stderr
    assert not (study.parent / "runs" / "first" / "metrics.json").exists()
