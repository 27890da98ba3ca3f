"""The program as a user starts it, and small stages that stand in for the long ones."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

START = "from cherenkov_mlops.cli import main; main()"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """YAML file of a run that has no data."""
    path = tmp_path / "study.yaml"
    path.write_text("run: {name: first}\ntask: energy\ndata:\n  train:\n    signal: gammas.h5\n")
    return path


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    """Function that runs the program in ``tmp_path``.

    ``body`` replaces what the stage ``report`` does: lines of Python that know ``config`` and
    ``run_dir``.
    """

    def run(*arguments: object, body: str = "") -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-c", make_program(body), *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | {"TMPDIR": str(tmp_path), "COLUMNS": "40"},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def make_program(body: str) -> str:
    """Python text that starts the program, with another stage ``report`` if there is a body."""
    if not body:
        return START
    lines = ["import logging, os, sys, types, warnings", "from cherenkov_mlops.errors import *"]
    lines += ["def run(config, run_dir, *, force):"] + [f"    {line}" for line in body.splitlines()]
    lines += ["stage = types.ModuleType('report'); stage.run = run"]
    lines += ["sys.modules['cherenkov_mlops.stages.report'] = stage"]
    return "\n".join([*lines, START])
