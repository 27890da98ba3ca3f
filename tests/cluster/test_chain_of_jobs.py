"""Runs on a real SLURM: chains, trainings longer than their time limit, failures."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest

import slow_model
from cherenkov_mlops.cluster.slurm import read_job
from cherenkov_mlops.commands import status, submit
from cherenkov_mlops.config.load import open_run
from cherenkov_mlops.errors import ConfigError, UserError
from cherenkov_mlops.pipeline.record import RunRecord
from cherenkov_mlops.pipeline.stage import names
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages import prepare, train
from simulated import TINY_MODEL, study, write_study

pytestmark = pytest.mark.slurm

STAGES = names()
LITTLE = {"memory": "3G", "cpus": 1, "time": "00:10:00"}
SMALL = LITTLE | {"stages": {name: LITTLE for name in STAGES if name != "train"}}
SLOW = {"type": "custom", "file": slow_model.__file__, "class": "SlowModel"}


@pytest.fixture(scope="module", autouse=True)
def own_code():
    """Jobs run the code that is tested, with few messages."""
    source = Path(submit.__file__).parents[2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{source}:{os.environ.get('PYTHONPATH', '')}")
        yield


@pytest.fixture
def make_study(dl1_files, tmp_path):
    """Function that writes a configuration, in a folder with spaces in its name."""

    def make(model=TINY_MODEL, **over) -> Path:
        content = study("energy", dl1_files, **over) | {"model": model}
        content["slurm"] = SMALL | over.get("slurm", {})
        return write_study(tmp_path / "a folder", content)

    return make


def submit_all(path: Path, stages=STAGES, **options) -> tuple[RunDir, dict[str, str]]:
    """Run folder, and number of the job of each stage."""
    config, run_dir = open_run(path)
    jobs = submit.run(config, run_dir, path, stages, **options)
    return run_dir, dict(jobs)


def test_a_chain_runs_to_its_end(slurm, make_study, tmp_path, monkeypatch):
    path = make_study()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    run_dir, jobs = submit_all(path)
    assert list(jobs) == list(STAGES)
    assert [slurm.wait(job) for job in jobs.values()] == ["COMPLETED"] * len(STAGES)
    record = RunRecord.read(run_dir)
    assert all(record.state(stage) == "complete" for stage in STAGES)
    attempts = [record.content["stages"][stage]["attempts"][-1] for stage in STAGES]
    assert [each["slurm"]["SLURM_JOB_ID"] for each in attempts] == list(jobs.values())
    assert run_dir.report.exists()
    assert not list(elsewhere.iterdir())
    assert all((run_dir.logs / f"slurm-{name}-{job}.log").exists() for name, job in jobs.items())
    found = status.read_status(run_dir)
    assert (found.stage, found.state, found.epoch) == ("report", "complete", "2/2")
    assert (found.job, found.job_state) == (jobs["report"], "COMPLETED (exit code 0)")
    assert not found.is_moving


def test_a_training_longer_than_its_limit_goes_on_under_the_same_number(
    slurm, make_study, tmp_path, monkeypatch
):
    # 30 epochs of 2.5 s at least: more than two jobs of a minute have room for.
    # As many threads as the training without an interruption has, below: sums depend on it.
    limits = {"time": "00:01:00", "signal_s": 25, "cpus": len(os.sched_getaffinity(0))}
    path = make_study(model=SLOW, train={"n_epochs": 30}, slurm=limits)
    run_dir, jobs = submit_all(path, ("prepare", "train", "test"))
    slurm.wait_for(jobs["train"], lambda state: state == "RUNNING")
    while int(slurm.field(jobs["train"], "Restarts")) < 1:
        assert slurm.field(jobs["evaluate"], "JobState") == "PENDING"
        slurm.wait_for(jobs["train"], lambda state: state != "PENDING")
    found = status.read_status(run_dir)
    assert found.stage == "train" and found.job == jobs["train"] and found.is_moving
    assert slurm.wait(jobs["train"], seconds=600) == "COMPLETED"
    assert int(slurm.field(jobs["train"], "Restarts")) >= 2
    assert slurm.wait(jobs["evaluate"]) == "COMPLETED"
    attempts = RunRecord.read(run_dir).content["stages"]["train"]["attempts"]
    assert [each["state"] for each in attempts] == ["stopped"] * (len(attempts) - 1) + ["complete"]
    assert {each["slurm"]["SLURM_JOB_ID"] for each in attempts} == {jobs["train"]}
    # The same weights as without an interruption.
    monkeypatch.setattr(slow_model, "SECONDS_A_BATCH", 0)
    config, whole = open_run(path, [f"run.dir={tmp_path / 'whole'}"])
    prepare.run(config, whole)
    train.run(config, whole)
    mine, theirs = (
        keras.saving.load_model(each.trained_model, compile=False).get_weights()
        for each in (run_dir, whole)
    )
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_stage_that_fails_takes_the_rest_with_it(slurm, make_study, dl1_files):
    path = make_study(data={"train": {"signal": str(dl1_files["gamma_train"]) + ".missing"}})
    run_dir, jobs = submit_all(path)
    assert slurm.wait(jobs["prepare"]) == "FAILED"
    assert [slurm.wait(jobs[stage]) for stage in STAGES[1:]] == ["CANCELLED"] * 4
    assert "no such file" in (run_dir.logs / f"slurm-prepare-{jobs['prepare']}.log").read_text()
    found = status.read_status(run_dir)
    assert (found.stage, found.job_state) == ("prepare", "FAILED (exit code 3)")


def test_a_chain_of_trainings_goes_on_where_the_one_before_stopped(slurm, make_study):
    path = make_study(
        model=SLOW, train={"n_epochs": 14}, slurm={"time": "00:01:00", "signal_s": 30}
    )
    config, run_dir = open_run(path)
    jobs = submit.run(config, run_dir, path, ("prepare", "train"), chain=4)
    assert [stage for stage, _ in jobs] == ["prepare", *["train"] * 4]
    ends = [slurm.wait(job) for _, job in jobs]
    assert ends[1] == "FAILED" and ends[-1] == "COMPLETED"
    assert {slurm.field(job, "Restarts") for _, job in jobs} == {"0"}
    assert RunRecord.read(run_dir).state("train") == "complete"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"time": "03:00:00"}, r"slurm\.time: train: expected at most 2:00:00, .* got 3:00:00"),
        ({"memory": "70G"}, r"slurm\.memory: train: expected at most 64000 MB, .* got 71680 MB"),
        ({"cpus": 9}, r"slurm\.cpus: train: expected at most 8, .* got 9"),
        ({"gpus": 1}, r"slurm\.gpus: train: expected at most 0, .* got 1"),
        ({"partition": "shor"}, r"partition 'shor'; did you mean 'short'"),
        ({"partition": "short", "time": "00:11:00"}, "the limit of partition short, got 0:11:00"),
        (
            {"stages": {"test": {"time": "1-00:00:00"}}},
            r"slurm\.stages\.predict\.time: predict: .* got 1-00:00:00",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_no_node_can_give_is_refused_before_anything_is_submitted(
    slurm, make_study, section, said
):
    before = slurm.run("squeue", "-h", "-t", "all").stdout
    path = make_study(slurm=section)
    with pytest.raises(ConfigError, match=said) as caught:
        submit_all(path)
    assert all(line.startswith(f"{path}:") for line in caught.value.problems)
    assert slurm.run("squeue", "-h", "-t", "all").stdout == before


def test_a_refused_job_takes_those_before_with_it(slurm, make_study):
    path = make_study(slurm={"stages": {"test": LITTLE}, "options": ["--constraint=nothing"]})
    with pytest.raises(UserError, match="sbatch: .*[Ii]nvalid feature"):
        submit_all(path)
    path = make_study(slurm={"stages": {"report": LITTLE}})
    config, run_dir = open_run(path)
    with pytest.raises(UserError, match="--stages: no stage 'tset'; did you mean 'test'"):
        submit.run(config, run_dir, path, ["tset"])
    assert read_job("999999") is None
