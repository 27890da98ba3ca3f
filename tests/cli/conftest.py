"""The program as a user starts it, and small stages that stand in for the long ones."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cherenkov_mlops.cli.app import app
from cherenkov_mlops.pipeline.stage import STAGES

PREAMBLE = "import logging, os, sys, types, warnings\nfrom cherenkov_mlops.errors import *\n"
REPLACE_STAGE = """
from dataclasses import replace
from cherenkov_mlops.pipeline.stage import STAGES
STAGES._entries['report'] = replace(STAGES['report'], run=run)
"""
# A shell that starts something in the background switches Ctrl-C off; switch it on again.
START = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from cherenkov_mlops.cli.app import main; main()"
)


def replace_stage(monkeypatch, name: str, **changes: object) -> None:
    """Change the entry of a stage in the table, for the time of a test."""
    monkeypatch.setitem(STAGES._entries, name, replace(STAGES[name], **changes))


Call = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """YAML file of a run that has no data."""
    path = tmp_path / "study.yaml"
    path.write_text("run: {name: first}\ntask: energy\ndata:\n  train:\n    signal: gammas.h5\n")
    return path


def define_stage(body: str) -> str:
    """Python text of a stage: lines of ``body`` that know ``config``, ``run_dir``, ``force``."""
    head = "def run(config, run_dir, *, force, **options):"
    return PREAMBLE + "\n".join([head, *(f"    {line}" for line in body.splitlines())])


@pytest.fixture
def call(tmp_path: Path, monkeypatch, capfd) -> Call:
    """Function that runs a command in this process; ``body`` is the stage ``report``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def run(*arguments: object, body: str = "") -> subprocess.CompletedProcess:
        words = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["cherenkov-mlops", *words])
        if body:
            scope: dict[str, Any] = {}
            exec(define_stage(body), scope)
            replace_stage(monkeypatch, "report", run=scope["run"])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            app(words, prog_name="cherenkov-mlops")
        return subprocess.CompletedProcess(words, end.value.code, *capfd.readouterr())

    return run


@pytest.fixture
def start(tmp_path: Path) -> Call:
    """Function that starts the program as a process; ``body`` is the stage ``report``."""

    def run(*arguments: object, body: str = "") -> subprocess.CompletedProcess:
        program = define_stage(body) + REPLACE_STAGE + START if body else START
        return subprocess.run(
            [sys.executable, "-c", program, *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | {"TMPDIR": str(tmp_path), "COLUMNS": "40"},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run
