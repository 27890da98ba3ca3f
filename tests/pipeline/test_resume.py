"""An unfinished training at the level of a stage: what is kept, said, ignored and refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from cherenkov_mlops.config.load import load_config
from cherenkov_mlops.errors import DataError, TimeLimitReached, UserError
from cherenkov_mlops.pipeline import attempt
from cherenkov_mlops.pipeline import chain as run
from cherenkov_mlops.pipeline.lifecycle import describe_plan
from cherenkov_mlops.pipeline.record import RunRecord
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages import prepare, train
from cherenkov_mlops.training import trainer as train_tool
from cherenkov_mlops.training.backup import read_backup
from interrupted import MODEL, Broken, SeesNaN, break_off_after, send_signal_after
from simulated import load_study, study

# 346 events in batches of 32, and 77 for the validation.
N_BATCHES = 11 + 3
STAGES = ["prepare", "train", "predict", "evaluate", "report"]
# A shell that starts something in the background switches Ctrl-C off; switch it on again.
START = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from cherenkov_mlops.cli.app import main; main()"
)


def load(folder: Path, files: dict[str, Path], **train_options):
    """Configuration and folder of a run of five epochs."""
    options = {"n_epochs": 5} | train_options
    return load_study(folder, study("type", files, train=options) | {"model": MODEL})


@pytest.fixture(scope="module")
def prepared_once(dl1_files, tmp_path_factory):
    """Folder of a prepared run."""
    config, run_dir = load(tmp_path_factory.mktemp("prepared"), dl1_files)
    prepare.run(config, run_dir)
    return run_dir


@pytest.fixture(scope="module")
def broken_off_once(prepared_once, dl1_files, tmp_path_factory):
    """Folder of a training that was broken off in its third epoch."""
    config, run_dir = load(tmp_path_factory.mktemp("unfinished"), dl1_files)
    shutil.copytree(prepared_once.path, run_dir.path)
    with pytest.MonkeyPatch.context() as patch:
        break_off(patch, config, run_dir, 2 * N_BATCHES + 5, Broken())
    return run_dir


@pytest.fixture
def prepared(prepared_once, dl1_files, tmp_path):
    """Configuration and folder of a prepared run."""
    config, run_dir = load(tmp_path, dl1_files)
    shutil.copytree(prepared_once.path, run_dir.path)
    return config, run_dir


@pytest.fixture
def unfinished(broken_off_once, dl1_files, tmp_path):
    """Configuration and folder of a training that was broken off in its third epoch."""
    config, run_dir = load(tmp_path, dl1_files)
    shutil.copytree(broken_off_once.path, run_dir.path)
    return config, run_dir


@pytest.fixture(scope="module")
def finished(prepared_once, dl1_files, tmp_path_factory):
    """Configuration and folder of a complete training of two epochs."""
    config, run_dir = load(tmp_path_factory.mktemp("finished"), dl1_files, n_epochs=2)
    shutil.copytree(prepared_once.path, run_dir.path)
    train.run(config, run_dir)
    return config, run_dir


def break_off(monkeypatch, config, run_dir, n_batches, error, **options):
    """Train until the error comes."""
    with monkeypatch.context() as patch:
        break_off_after(patch, n_batches, error)
        with pytest.raises(type(error)) as caught:
            train.run(config, run_dir, **options)
    return str(caught.value)


def state_of(run_dir: RunDir, stage: str = "train") -> str:
    """State of the stage in ``run.json``."""
    return json.loads(run_dir.record.read_text(encoding="utf-8"))["stages"][stage]["state"]


def set_aside(run_dir: RunDir) -> Path:
    """Where a training waits while another one takes its place."""
    return run_dir.path / ".train.previous"


def test_it_goes_on_and_says_so(unfinished, dl1_files, tmp_path, caplog):
    config, run_dir = unfinished
    best = read_backup(run_dir.backup).best_val_loss
    assert not set_aside(run_dir).exists()
    plan = describe_plan(config, run_dir, STAGES)
    assert plan[1] == "train: would go on with epoch 3 of 5"
    assert "would run" in plan[2]
    with caplog.at_level("INFO"):
        train.run(config, run_dir)
    assert f"train: attempt 2, epoch 3 of 5, best {best:.4f} kept" in caplog.messages
    assert "ignored" not in caplog.text
    assert list(pd.read_csv(run_dir.history)["epoch"]) == [1, 2, 3, 4, 5]
    assert state_of(run_dir) == "complete"
    assert not run_dir.backup.parent.exists()
    record = json.loads(run_dir.record.read_text(encoding="utf-8"))
    assert len(record["stages"]["train"]["attempts"]) == 2


def test_options_that_come_too_late_are_ignored_and_named(unfinished, dl1_files, tmp_path, caplog):
    _, run_dir = unfinished
    optimizer = {"name": "Adam", "base_learning_rate": 0.1, "adam_epsilon": 1e-8}
    other = {"optimizer": optimizer, "lr_reducing": None, "n_epochs": 4}
    config, _ = load(tmp_path, dl1_files, **other)
    line = describe_plan(config, run_dir, STAGES)[2]
    assert line.startswith("train: ignored, because the training was started with other values: ")
    with caplog.at_level("INFO"):
        run.run(config, run_dir)
    assert "epoch 3 of 4, best" in caplog.text
    assert line in caplog.messages
    assert "train.optimizer.base_learning_rate: 0.003 (now 0.1)" in line
    assert "train.lr_reducing.factor: 0.5 (now null)" in line
    assert line.endswith("; --force starts anew") and "n_epochs" not in line
    assert read_rate(run_dir) == pytest.approx(0.003)
    resolved = load_config(run_dir.resolved_config)
    assert resolved.train.optimizer.base_learning_rate == 0.003
    assert resolved.train.lr_reducing.factor == 0.5
    assert resolved.train.n_epochs == 4
    made_of = json.loads(run_dir.record.read_text())["stages"]["train"]["made_of"]
    assert made_of["train.optimizer.base_learning_rate"] == 0.003
    # The same command again finds nothing to do; another value is refused as ever.
    before = run_dir.record.read_bytes()
    run.run(config, run_dir)
    assert run_dir.record.read_bytes() == before
    optimizer["base_learning_rate"] = 0.2
    third, _ = load(tmp_path, dl1_files, **other)
    with pytest.raises(UserError, match=r"base_learning_rate: 0.003 -> 0.2"):
        run.test(third, run_dir)


def read_rate(run_dir: RunDir) -> float:
    """Learning rate of the last epoch."""
    return pd.read_csv(run_dir.history)["learning_rate"].iloc[-1]


def test_what_prepare_made_must_be_the_same(unfinished, dl1_files, tmp_path):
    config, run_dir = unfinished
    other, _ = load(tmp_path, dl1_files, validation_split=0.3)
    with pytest.raises(UserError, match="stage 'prepare' was made with other settings"):
        train.run(other, run_dir)
    prepare.run(config, run_dir, force=True)
    with pytest.raises(UserError, match="what an earlier 'prepare' made; write --force"):
        train.run(config, run_dir)
    assert read_backup(run_dir.backup).n_epochs_done == 2


def test_force_starts_anew_and_loses_nothing_if_it_fails(
    unfinished, dl1_files, tmp_path, monkeypatch, caplog
):
    config, run_dir = unfinished
    assert "would run" in describe_plan(config, run_dir, ["train"], force=True)[0]
    break_off(monkeypatch, config, run_dir, 3, DataError("spoilt"), force=True)
    assert read_backup(run_dir.backup).n_epochs_done == 2
    assert state_of(run_dir) == "interrupted"
    with caplog.at_level("INFO"):
        train.run(config, run_dir, force=True)
    assert "epoch 1 of 5" in caplog.text and "train: attempt" not in caplog.text
    assert not set_aside(run_dir).exists()


def test_a_complete_training_outlives_a_killed_one(finished, tmp_path, monkeypatch):
    config, done = finished
    run_dir = RunDir(shutil.copytree(done.path, tmp_path / "copy"))
    model = run_dir.trained_model.read_bytes()
    break_off(monkeypatch, config, run_dir, 3, Broken(), force=True)
    assert run_dir.trained_model.read_bytes() == model
    assert state_of(run_dir) == "complete"
    # After an epoch both are there; the new one goes on, and takes its place in the end.
    break_off(monkeypatch, config, run_dir, N_BATCHES + 3, Broken(), force=True)
    assert (set_aside(run_dir) / run_dir.trained_model.name).read_bytes() == model
    assert read_backup(run_dir.backup).n_epochs_done == 1
    assert describe_plan(config, run_dir, ["train"]) == ["train: would go on with epoch 2 of 2"]
    train.run(config, run_dir)
    assert not set_aside(run_dir).exists()
    assert len(pd.read_csv(run_dir.history)) == 2


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (TimeLimitReached("x"), "stopped"),
        (DataError("the loss became nan"), "failed"),
        (OSError(28, "No space left on device"), "failed"),
    ],
)
def test_however_it_ends_the_complete_epochs_stay(prepared, monkeypatch, error, state):
    config, run_dir = prepared
    with monkeypatch.context() as patch:
        break_off_after(patch, N_BATCHES + 1, error)
        with pytest.raises((type(error), DataError)) as caught:
            train.run(config, run_dir)
    if state == "interrupted":
        assert str(caught.value) == (
            "train: interrupted after epoch 1 of 5; the same command goes on from there"
        )
    assert state_of(run_dir) == state
    assert read_backup(run_dir.backup).n_epochs_done == 1
    assert run_dir.trained_model.exists()


def test_before_the_first_complete_epoch_nothing_is_kept(prepared, monkeypatch):
    config, run_dir = prepared
    message = break_off(monkeypatch, config, run_dir, 3, KeyboardInterrupt())
    assert message == (
        "train: interrupted in the first epoch; the same command starts the stage again"
    )
    assert not run_dir.train_dir.exists()


def test_a_loss_that_is_nan_keeps_what_was_learnt(unfinished, monkeypatch):
    config, run_dir = unfinished
    monkeypatch.setattr(train_tool, "RefuseNaN", SeesNaN)
    with pytest.raises(DataError, match=r"the loss became nan .*--force"):
        train.run(config, run_dir)
    assert read_backup(run_dir.backup).n_epochs_done == 2
    assert state_of(run_dir) == "failed"


def test_a_damaged_state_is_said_and_the_training_starts_again(unfinished, caplog):
    config, run_dir = unfinished
    run_dir.backup.write_bytes(run_dir.backup.read_bytes()[:-100])
    with caplog.at_level("INFO"):
        train.run(config, run_dir)
    assert caplog.text.count("the training starts from the first epoch") == 1
    assert len(pd.read_csv(run_dir.history)) == 5
    assert state_of(run_dir) == "complete"


def test_what_killed_writers_left_is_removed(unfinished):
    config, run_dir = unfinished
    left = [
        run_dir.backup.with_name(".state.7.tmp.npz"),
        run_dir.train_dir / ".ctlearn_model.7.tmp.keras",
        run_dir.path / ".run.7.tmp.json",
    ]
    for path in left:
        path.touch()
    train.run(config, run_dir)
    assert not [path for path in left if path.exists()]


def test_run_starts_no_stage_after_the_deadline(finished, tmp_path):
    config, done = finished
    run_dir = RunDir(shutil.copytree(done.path, tmp_path / "copy"))
    with pytest.raises(TimeLimitReached, match="run: stopped at the time limit"):
        run.run(config, run_dir, deadline=time.time() - 1)


def test_what_another_process_did_meanwhile_is_not_overwritten(finished, tmp_path, monkeypatch):
    config, done = finished
    run_dir = RunDir(shutil.copytree(done.path, tmp_path / "copy"))
    lock = attempt._lock

    def come_late(run_dir: RunDir):
        record = RunRecord.read(run_dir)
        record.content["stages"]["train"]["attempts"].append({"started": "meanwhile"})
        record.write()
        return lock(run_dir)

    monkeypatch.setattr(attempt, "_lock", come_late)
    with pytest.raises(UserError, match="another process has just worked on this run"):
        train.run(config, run_dir, force=True)
    assert run_dir.trained_model.exists() and not set_aside(run_dir).exists()
    assert RunRecord.read(run_dir).content["stages"]["train"]["attempts"][-1] == {
        "started": "meanwhile"
    }
    monkeypatch.undo()
    train.run(config, run_dir)


@pytest.fixture
def long_training(prepared_once, dl1_files, tmp_path):
    """Folder of a prepared run of very many epochs."""
    config, run_dir = load(tmp_path, dl1_files, n_epochs=2000)
    shutil.copytree(prepared_once.path, run_dir.path)
    config.write_to(run_dir)
    return run_dir


@pytest.fixture
def start():
    """Function that starts the program as a user does; it is ended with the test."""
    processes = []

    def run(*arguments: object, **environment: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", START, *map(str, arguments)],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def wait_for(path: Path, process: subprocess.Popen, seconds: float = 120) -> None:
    """Wait until the process has made the file."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, path
        time.sleep(0.05)


def end_of(process: subprocess.Popen, seconds: float = 120) -> tuple[int, str]:
    """Exit code and last words."""
    errors = process.communicate(timeout=seconds)[1]
    return process.returncode, errors


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM])
@pytest.mark.parametrize(("left_s", "done"), [(None, 1), (3600, 2)])
def test_a_signal_ends_the_training_by_the_rule(prepared, monkeypatch, number, left_s, done):
    config, run_dir = prepared
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    if left_s:
        monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + left_s))
    send_signal_after(monkeypatch, N_BATCHES + 4, number)
    before = signal.getsignal(number)
    with pytest.raises(TimeLimitReached) as caught:
        train.run(config, run_dir)
    assert signal.getsignal(number) is before
    assert str(caught.value) == (
        f"train: stopped by {number.name} after epoch {done} of 5; "
        "the same command goes on from there"
    )
    assert state_of(run_dir) == "stopped"
    assert read_backup(run_dir.backup).n_epochs_done == done


def test_a_signal_ends_the_program_with_75(start, long_training):
    process = start("train", long_training.path)
    wait_for(long_training.backup, process)
    process.send_signal(signal.SIGUSR2)
    ended, errors = end_of(process)
    assert ended == 75, errors
    done = read_backup(long_training.backup).n_epochs_done
    assert errors == (
        f"train: stopped by SIGUSR2 after epoch {done} of 2000; "
        "the same command goes on from there\n"
    )


def test_a_deadline_ends_the_program_with_75(start, long_training):
    started = time.monotonic()
    ended, errors = end_of(start("run", long_training.path, "--deadline", "0:00:15"))
    assert ended == 75, errors
    assert errors.startswith("train: stopped at the time limit ")
    assert time.monotonic() - started < 40
    assert state_of(long_training) == "stopped"


def test_a_deadline_that_is_none(start, long_training):
    ended, errors = end_of(start("train", long_training.path, "--deadline", "soon"))
    assert ended == 2
    assert errors.startswith("error: --deadline: expected a time as hours:minutes:seconds")
