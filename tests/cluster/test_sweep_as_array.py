"""A sweep as an array of jobs on a real SLURM, against the same sweep on this machine."""

import os

import pytest

from cherenkov_mlops.commands import status
from cherenkov_mlops.config.text import to_yaml
from cherenkov_mlops.errors import SweepFailed, UserError
from cherenkov_mlops.results import read_results
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.sweep import array as sweep_jobs
from cherenkov_mlops.sweep import running as sweep
from cherenkov_mlops.sweep.plan import load_sweep
from simulated import study

pytestmark = pytest.mark.slurm

LITTLE = {"memory": "3G", "cpus": 1, "time": "00:20:00"}


@pytest.fixture
def make_sweep(dl1_files, tmp_path):
    """Function that writes a sweep file and reads it back."""

    def make(name: str, **content):
        base = study("energy", dl1_files) | {"slurm": LITTLE}
        del base["run"]
        path = tmp_path / f"{name}.yaml"
        path.write_text(to_yaml({"config": base, "report": False} | content), encoding="utf-8")
        return load_sweep(path)

    return make


def values(sweep_file):
    """Loss and metrics of each run."""
    found = {}
    for config in sweep_file.runs:
        results = read_results(RunDir(config.run_path).metrics)
        names = ("energy_resolution_68", "energy_resolution_iqr68", "energy_bias", "rmse_log10")
        metrics = results.tasks["energy"].metrics
        values = {name: metrics[name].value for name in names}
        values["best_val_loss"] = results.facts["best_val_loss"]
        found |= {f"{config.run.name} {name}": value for name, value in values.items()}
    return found


def test_an_array_gives_what_this_machine_gives(slurm, make_sweep):
    grid = {"train.batch_size": [16, 32], "run.seed": [1, 2]}
    array, local = (make_sweep(name, grid=grid) for name in ("array", "local"))
    jobs = sweep_jobs.submit_sweep(array, at_once=2)
    assert len(jobs) == 2 and len(array.runs) == 4
    assert slurm.wait(jobs[-1]) == "COMPLETED"
    assert (array.folder / "comparison.html").exists()
    found = [status.read_status(RunDir(config.run_path)) for config in array.runs]
    assert [each.job for each in found] == [f"{jobs[0]}_{number}" for number in range(4)]
    # One core a run, as the jobs have: the last digits of sums depend on the number of threads.
    sweep.run(local, len(os.sched_getaffinity(0)))
    assert values(array) == values(local)
    # Nothing is left to do, but the page can be made again.
    again = sweep_jobs.submit_sweep(array)
    assert len(again) == 1 and slurm.wait(again[0]) == "COMPLETED"


def test_failed_runs_are_listed_with_the_command_that_repeats_them(slurm, make_sweep, monkeypatch):
    bad = {"data.quality_criteria": [["bright", "hillas_intensity > 1e9"]], "run.seed": 2}
    made = make_sweep("bad", list=[{"run.seed": 1}, bad])
    # An array of one job each.
    monkeypatch.setattr(sweep_jobs, "read_max_array_size", lambda: 1)
    jobs = sweep_jobs.submit_sweep(made)
    assert len(jobs) == 3
    assert slurm.wait(jobs[-1]) == "FAILED"
    assert [slurm.wait(job) for job in jobs[:2]] == ["COMPLETED", "FAILED"]
    with pytest.raises(SweepFailed) as caught:
        sweep_jobs.collect(made)
    line = str(caught.value)
    name = made.runs[1].run.name
    assert f"{name} (run 1): prepare: failed: " in line and "NoEventsError" in line
    command = (
        f"to repeat: cherenkov-mlops run {made.folder / 'configs' / name}.yaml --until evaluate"
    )
    assert command in line
    log = made.folder / "logs" / f"collect-{jobs[-1]}.log"
    assert command in " ".join(log.read_text().split())


def test_runs_of_an_array_ask_for_the_same(slurm, make_sweep):
    made = make_sweep("uneven", grid={"slurm.memory": ["2G", "3G"]})
    with pytest.raises(UserError, match="expected one section 'slurm' for all runs"):
        sweep_jobs.submit_sweep(made)
