"""A small configuration that loads, and a way to write variants of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

MINIMAL = """\
run:
  name: first
task: energy
data:
  train:
    signal: gammas.h5
"""


@pytest.fixture
def write_yaml(tmp_path: Path) -> Callable[..., Path]:
    """Function that writes a text as a YAML file and gives its path."""

    def write(text: str = MINIMAL, name: str = "study.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def minimal() -> str:
    """Text of a configuration that gives only what must be given."""
    return MINIMAL
