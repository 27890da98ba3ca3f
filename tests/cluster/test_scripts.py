"""The batch scripts and all other shell scripts, read by a checker and tried with a stub."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cherenkov_mlops.cluster.jobs import SCRIPTS
from cherenkov_mlops.pipeline.stage import COMMANDS, names

ROOT = Path(__file__).parents[2]
BATCH = sorted(SCRIPTS.glob("*.sbatch"))
ALL = [*BATCH, *sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run"]
STAGES = {*names(), *COMMANDS, "compare", "convert", "merge", "slim"}


def test_each_stage_has_a_script():
    assert {path.stem for path in BATCH} >= STAGES


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(path):
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(
        ["shellcheck", "--shell=bash", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", BATCH, ids=lambda path: path.stem)
def test_scripts_are_plain(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n# ") and "set -uo pipefail" in text
    assert len(text.splitlines()) <= 60
    for wanted in ("--job-name=", "--time=", "--mem=", "--cpus-per-task=", "--output="):
        assert f"#SBATCH {wanted}" in text
    # No site has its name in them.
    assert "--partition" not in text and "--account" not in text
    assert "LD_LIBRARY_PATH" not in text


@pytest.fixture
def stub(tmp_path):
    """Folder with programs that say what they were called with."""
    folder = tmp_path / "bin with a space"
    folder.mkdir()
    for name in ("cherenkov-mlops", "apptainer", "scontrol"):
        program = folder / name
        program.write_text(
            f'#!/bin/bash\necho {name} "$(printf "<%s>" "$@")"\nexit "${{CODE:-0}}"\n'
        )
        program.chmod(0o755)
    return folder


def call(path: Path, stub: Path, **settings: str) -> subprocess.CompletedProcess:
    """What a script did with two arguments, one of which has a space."""
    environment = {
        **os.environ,
        "PATH": f"{stub}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "7",
        **settings,
    }
    return subprocess.run(
        ["bash", path, "a b.yaml", "--force"],
        cwd=stub.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("path", BATCH, ids=lambda path: path.stem)
def test_arguments_arrive_as_they_are_given(path, stub):
    command = {"sweep": "run", "collect": "sweep><--collect"}.get(path.stem, path.stem)
    if path.stem == "sweep":
        pytest.skip("takes its argument from a list")
    done = call(path, stub)
    if path.stem == "stage":
        assert "cherenkov-mlops <a b.yaml><--force>" in done.stdout, done.stderr
        return
    assert f"cherenkov-mlops <{command}><a b.yaml><--force>" in done.stdout, done.stderr
    done = call(path, stub, CHERENKOV_MLOPS_IMAGE="my image.sif", CHERENKOV_MLOPS_BINDS="/x y:/z")
    assert "<--bind></x y:/z><my image.sif><cherenkov-mlops>" in done.stdout, done.stderr
    assert ("<exec><--nv>" in done.stdout) == (path.stem in ("train", "test", "predict", "stage"))
    assert call(path, stub, CODE="3").returncode == 3


@pytest.mark.parametrize(
    ("code", "restarts", "ends_with", "requeued"),
    [("75", "0", 75, True), ("140", "0", 140, True), ("75", "20", 75, False), ("1", "0", 1, False)],
)
def test_only_what_can_go_on_goes_back_to_the_queue(stub, code, restarts, ends_with, requeued):
    # The stub of scontrol fails with the same code, so that the script says how it would end.
    done = call(SCRIPTS / "train.sbatch", stub, CODE=code, SLURM_RESTART_COUNT=restarts)
    assert ("scontrol <requeue><7>" in done.stdout) == requeued
    assert done.returncode == ends_with
