"""The whole chain: what it leaves, what it learns, what a second start does."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import tables

from cherenkov_mlops.commands import compare
from cherenkov_mlops.config.load import load_config
from cherenkov_mlops.data.manifest import read_manifest
from cherenkov_mlops.dl2.read import read_events
from cherenkov_mlops.errors import DataError, UserError
from cherenkov_mlops.pipeline import chain as run
from cherenkov_mlops.pipeline.evaluation import digest_of
from cherenkov_mlops.pipeline.lifecycle import describe_plan
from cherenkov_mlops.pipeline.stage import names
from cherenkov_mlops.results import read_results
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages import prepare, report, train
from cherenkov_mlops.training.backup import read_backup
from simulated import load_study, study

TASKS = ("type", "energy", "cameradirection", "skydirection")
# A shell that starts something in the background switches Ctrl-C off; switch it on again.
START = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from cherenkov_mlops.cli.app import main; main()"
)


@pytest.mark.parametrize("task", TASKS)
def test_what_a_run_leaves(completed_runs, task):
    _, run_dir = completed_runs[task]
    for path in (
        run_dir.config,
        run_dir.resolved_config,
        run_dir.manifest,
        run_dir.untrained_model,
        run_dir.model_summary,
        run_dir.trained_model,
        run_dir.history,
        run_dir.metrics,
        run_dir.report,
    ):
        assert path.stat().st_size > 0, path
    record = json.loads(run_dir.record.read_text(encoding="utf-8"))
    assert {entry["state"] for entry in record["stages"].values()} == {"complete"}
    assert list(record["stages"]) == ["prepare", "train", "predict", "evaluate", "report"]
    assert not list(run_dir.path.rglob("*.tmp")) + list(run_dir.path.rglob("*.partial"))


@pytest.mark.parametrize("task", TASKS)
def test_results_hold_every_number(completed_runs, task):
    config, run_dir = completed_runs[task]
    results = read_results(run_dir.metrics)
    assert results.run.tasks == list(results.tasks) == [task]
    tested = results.tasks[task]
    assert results.facts["effective_epochs"] == 2
    assert tested.test.signal > 0
    assert (tested.test.background > 0) == (task == "type")
    sizes = read_manifest(run_dir).counts.sets
    assert sizes["training"].get("signal") == results.data.train.signal
    values = [entry.value for entry in tested.metrics.values() if entry.value is not None]
    assert np.isfinite(values).sum() > 5


def test_rows_of_dl2_are_those_of_the_reader(completed_runs, dl1_files):
    config, run_dir = completed_runs["energy"]
    events, n_invalid = read_events(
        run_dir.dl2(dl1_files["gamma_test"], "signal"), "energy", "mono", signal=True
    )
    with tables.open_file(dl1_files["gamma_test"]) as file:
        intensity = np.concatenate(
            [
                table.col("hillas_intensity")
                for table in file.iter_nodes("/dl1/event/telescope/parameters", "Table")
            ]
        )
    assert len(events) == (intensity > 50).sum()
    assert n_invalid == (~(intensity > 50)).sum()
    assert not events.duplicated(["obs_id", "event_id", "tel_id"]).any()


def test_a_second_start_does_nothing(completed_runs, caplog):
    config, run_dir = completed_runs["type"]
    before = {path: path.stat().st_mtime_ns for path in run_dir.path.rglob("*") if path.is_file()}
    with caplog.at_level("INFO"):
        run.run(config, run_dir)
    assert caplog.text.count("complete and unchanged") == 5
    after = {path: path.stat().st_mtime_ns for path in run_dir.path.rglob("*") if path.is_file()}
    assert before == after


def test_a_plan_with_force_and_out_of_turn(completed_runs, dl1_files, tmp_path):
    config, run_dir = completed_runs["energy"]
    stages = names()
    forced = describe_plan(config, run_dir, stages, force=True)
    assert all("would run (--force)" in line for line in forced)
    (line,) = describe_plan(config, RunDir(tmp_path / "new"), ["train"])
    assert "would refuse" in line and "cherenkov-mlops prepare" in line


def test_the_plan_says_why(completed_runs, dl1_files, tmp_path):
    config, run_dir = completed_runs["energy"]
    stages = names()
    assert all("would do nothing" in line for line in describe_plan(config, run_dir, stages))
    longer, _ = load_study(tmp_path, study("energy", dl1_files, train={"n_epochs": 9}))
    lines = describe_plan(longer, run_dir, stages)
    assert "would do nothing" in lines[0]
    assert "train.n_epochs: 2 -> 9" in lines[1] and "--force" in lines[1]
    new = describe_plan(longer, RunDir(tmp_path / "new"), stages)
    assert all("would run (not run yet)" in line for line in new)
    assert not (tmp_path / "new").exists()


def test_an_option_of_training_leaves_the_data_prepared(completed_runs, dl1_files, tmp_path):
    _, run_dir = completed_runs["energy"]
    longer, _ = load_study(tmp_path, study("energy", dl1_files, train={"n_epochs": 9}))
    prepare.run(longer, run_dir)
    with pytest.raises(UserError, match="train.n_epochs: 2 -> 9"):
        train.run(longer, run_dir)


def test_a_report_follows_a_new_test(dl1_files, tmp_path):
    config, run_dir = load_study(tmp_path, study("energy", dl1_files, train={"n_epochs": 1}))
    run.run(config, run_dir)
    first = run_dir.report.stat().st_mtime_ns
    run.test(config, run_dir, force=True)
    report.run(config, run_dir)
    assert run_dir.report.stat().st_mtime_ns > first


def test_a_folder_that_was_moved_goes_on(completed_runs, tmp_path):
    config, run_dir = completed_runs["cameradirection"]
    moved = tmp_path / "elsewhere"
    shutil.copytree(run_dir.path, moved)
    run.run(load_config(RunDir(moved).resolved_config), RunDir(moved))


def test_the_same_seed_gives_the_same_network(completed_runs, dl1_files, tmp_path):
    _, first = completed_runs["energy"]
    config, second = load_study(tmp_path, study("energy", dl1_files))
    prepare.run(config, second)
    train.run(config, second)
    columns = ["loss", "val_loss"]
    histories = [pd.read_csv(run_dir.history)[columns] for run_dir in (first, second)]
    np.testing.assert_allclose(*histories, rtol=1e-4)


def test_runs_are_compared(completed_runs, dl1_files, tmp_path):
    _, first = completed_runs["type"]
    over = {"run": {"name": "other", "seed": 5}, "sampling": {"percentage_per_epoch": 0.5}}
    config, second = load_study(tmp_path, study("type", dl1_files, **over))
    run.run(config, second)
    page = tmp_path / "comparison.html"
    compare.run([first.path, second.path], page, baseline="other")
    assert "other" in page.read_text(encoding="utf-8")
    assert json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    history = pd.read_csv(second.history)
    assert history["share_never_seen"].iloc[0] == pytest.approx(0.5, abs=0.1)
    digests = {
        read_results(run_dir.metrics).tasks["type"].test_digest for run_dir in (first, second)
    }
    assert len(digests) == 1


def test_the_digest_is_of_events_not_of_predictions():
    events = pd.DataFrame({"signal": [True, False], "obs_id": [1, 2], "event_id": [3, 4]})
    same = events.assign(gh_score=[0.1, 0.9])
    other = events.assign(event_id=[3, 5])
    assert digest_of(events) == digest_of(same) != digest_of(other)


def start(arguments, folder, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", START, *map(str, arguments)],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end_of(process, seconds=120):
    """What the process wrote to standard error; it is stopped if it does not end by itself."""
    with process:
        try:
            return process.communicate(timeout=seconds)[1]
        finally:
            process.kill()


def test_ctrl_c_during_the_training(dl1_files, tmp_path):
    content = study("energy", dl1_files, train={"n_epochs": 500})
    config, run_dir = load_study(tmp_path, content)
    prepare.run(config, run_dir)
    process = start(["train", tmp_path / "study.yaml"], tmp_path)
    deadline = time.monotonic() + 120
    while not run_dir.backup.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    errors = end_of(process)
    assert process.returncode == 130, errors
    done = read_backup(run_dir.backup).n_epochs_done
    assert errors == (
        f"train: interrupted after epoch {done} of 500; the same command goes on from there\n"
    )
    # Nothing is lost: what was learnt stays where it is.
    assert run_dir.trained_model.exists()
    record = json.loads(run_dir.record.read_text(encoding="utf-8"))
    assert record["stages"]["train"]["state"] == "interrupted"


@pytest.fixture(params=["4k", "16k", "120k", "600k"])
def small_disk(request, tmp_path):
    """Folder on a file system of that many bytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(dl1_files, tmp_path, small_disk):
    over = {"run": {"dir": str(small_disk)}, "model": {"architecture": [LARGE, LARGE]}}
    config, run_dir = load_study(tmp_path, study("energy", dl1_files, **over))
    with pytest.raises(DataError, match="full"):
        run.run(config, run_dir)
    assert not run_dir.path.exists()


LARGE = {"filters": 200, "kernel_size": 3, "number": 1}
