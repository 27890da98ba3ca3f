"""``sweep``: runs side by side, what failed is named, what is complete is not done again."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from cherenkov_mlops.errors import DataError, SweepFailed
from cherenkov_mlops.results import read_results
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.sweep import processes
from cherenkov_mlops.sweep import running as sweep
from cherenkov_mlops.sweep.plan import load_sweep
from cherenkov_mlops.sweep.processes import Job, Processes, share_cores
from simulated import merge, study, write_study

#: Stands in for the program: its words are Python.
PROGRAM = "import sys, os, signal, time; exec(sys.argv[1])"


@pytest.fixture
def python(monkeypatch, tmp_path):
    """Function that makes a job of a Python text."""
    monkeypatch.setattr(processes, "_START", PROGRAM)
    return lambda name, text: Job(name, (text,), tmp_path / f"{name}.log")


def ended(found):
    return {each.job.name: each.code for each in found if each is not None}


def test_jobs_run_side_by_side_on_cores_of_their_own(python, tmp_path):
    # A job begins to print only when another one runs beside it: each waits for its neighbour.
    text = (
        "open({0!r} + str({1}), 'w').close()\n"
        "while not os.path.exists({0!r} + str({1} ^ 1)): time.sleep(0.01)\n"
        "print(sorted(os.sched_getaffinity(0)), os.environ['OMP_NUM_THREADS'], flush=True)"
    )
    jobs = [python(f"job{n}", text.format(str(tmp_path / "there"), n)) for n in range(4)]
    pool = Processes(2)
    most = 0
    found = []
    for each in pool.run(jobs):
        found.append(each)
        most = max(most, len(pool.names))
    assert ended(found) == dict.fromkeys(("job0", "job1", "job2", "job3"), 0)
    assert most == 2
    seen = {job.log.read_text().strip() for job in jobs}
    assert seen <= {f"{cores} {len(cores)}" for cores in share_cores(2)}


def test_all_cores_are_shared_out(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 3, 5, 7, 8})
    assert share_cores(2) == [[2, 5, 8], [3, 7]]
    assert share_cores(7) == [[2], [3], [5], [7], [8], [2], [3]]


def test_a_failure_does_not_stop_the_others(python):
    jobs = [python("bad", "sys.exit(3)"), python("good", "pass"), python("worse", "sys.exit(2)")]
    assert ended(Processes(1).run(jobs)) == {"bad": 3, "good": 0, "worse": 2}


#: Runs two jobs in a process of its own, which Ctrl-C is sent to: not to that of the tests.
INTERRUPTED = """
import os, signal, sys
from pathlib import Path
from cherenkov_mlops.sweep import processes

processes._START, folder = sys.argv[1], Path(sys.argv[2])
# A shell lets work in the background ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
texts = dict(first=sys.argv[3], second="pass")
jobs = [processes.Job(name, (text,), folder / f"{name}.log") for name, text in texts.items()]
for _ in processes.Processes(1).run(jobs):
    if jobs[0].log.exists() and "ready" in jobs[0].log.read_text():
        os.kill(os.getpid(), signal.SIGINT)
"""


def test_ctrl_c_ends_the_children_and_starts_no_others(tmp_path):
    mark = tmp_path / "listened"
    text = (
        f"def end(*_):\n open({str(mark)!r}, 'w').write('yes'); sys.exit(130)\n"
        "signal.signal(signal.SIGINT, end); print('ready', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", INTERRUPTED, PROGRAM, str(tmp_path), text]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.stderr.splitlines()[-1] == "KeyboardInterrupt"
    assert mark.read_text() == "yes"
    assert not (tmp_path / "second.log").exists()


def test_a_child_that_does_not_listen_is_killed(python, monkeypatch):
    monkeypatch.setattr(processes, "GRACE_S", 0.2)
    text = "signal.signal(signal.SIGINT, signal.SIG_IGN); print('ready', flush=True); time.sleep(9)"
    pool = Processes(1)
    job = python("deaf", text)
    for _ in pool.run([job]):
        if job.log.exists() and "ready" in job.log.read_text():
            child = pool.running[0].process
            break
    pool._stop()
    assert child.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def tiny(dl1_files, tmp_path_factory):
    """A sweep of five tiny runs, of which one misses the model that it starts from."""
    folder = tmp_path_factory.mktemp("sweep")
    config = study("energy", dl1_files, data={"cache_dir": str(folder / "cache")})
    content = {
        "config": {key: value for key, value in config.items() if key != "run"},
        "name": "{pruning}_s{seed}",
        "report": False,
        "grid": {
            "pruning": {
                "dense": {"pruning": None},
                "half": {"pruning": {"final_sparsity": 0.5, "end_step": 4, "frequency": 1}},
            },
            "run.seed": [1, 2],
        },
        "study": {"title": "A tiny study"},
    }
    return folder, content


def test_a_sweep_goes_on_after_a_failure_and_ends_with_a_study(tiny, monkeypatch):
    folder, content = tiny
    path = write_study(folder, content, "tiny.yaml")
    loaded = load_sweep(path)
    assert len(loaded.runs) == 4
    assert list(sweep.describe_sweep(loaded, 2))[1:] == [
        f"{name}: would run" for name in ("dense_s1", "dense_s2", "half_s1", "half_s2")
    ]
    assert not loaded.folder.exists()

    # A folder where a file has to be: the run cannot be started.
    blocked = RunDir(loaded.runs[3].run_path)
    blocked.record.mkdir(parents=True)
    monkeypatch.setattr(sweep, "is_complete", lambda *_: False)
    with pytest.raises(SweepFailed) as error:
        sweep.run(loaded, 2)
    (failure,) = error.value.failures
    assert failure.startswith("half_s2: ")
    command = f"cherenkov-mlops run {loaded.folder}/configs/half_s2.yaml --until evaluate"
    assert failure.endswith(f"to repeat: {command}")
    assert error.value.exit_code == 1
    state = json.loads((loaded.folder / "sweep.json").read_text())["runs"]
    assert {name: each["state"] for name, each in state.items()} == {
        "dense_s1": "complete",
        "dense_s2": "complete",
        "half_s1": "complete",
        "half_s2": "failed",
    }

    monkeypatch.undo()
    shutil.rmtree(blocked.path)
    before = {run.run.name: RunDir(run.run_path).metrics for run in loaded.runs[:3]}
    written = {name: path.stat().st_mtime_ns for name, path in before.items()}
    sweep.run(loaded, 2)
    assert {name: path.stat().st_mtime_ns for name, path in before.items()} == written
    assert all(line.endswith("unchanged") for line in list(sweep.describe_sweep(loaded, 1))[1:])

    numbers = json.loads((loaded.folder / "study.json").read_text())
    (group,) = numbers["groups"]
    assert [row["runs"] for row in group["rows"]] == [["half_s1", "half_s2"]]
    assert "A tiny study" in (loaded.folder / "study.html").read_text()
    facts = read_results(RunDir(loaded.runs[2].run_path).metrics).facts
    assert 0 < facts["model_size_zipped_mb"] < facts["model_size_mb"]
    digests = {
        task.test_digest
        for r in loaded.runs
        for task in read_results(RunDir(r.run_path).metrics).tasks.values()
    }
    assert len(digests) == 1
    assert not RunDir(loaded.runs[0].run_path).report.exists()


def test_missing_data_are_found_before_anything_runs(tiny, tmp_path):
    _, content = tiny
    lost = merge(content, {"config": {"data": {"test": {"signal": "lost.h5"}}}})
    loaded = load_sweep(write_study(tmp_path, lost))
    with pytest.raises(DataError, match="lost.h5"):
        sweep.run(loaded)
    assert not loaded.folder.exists()
