"""Small YAML files of runs and sweeps."""

from collections.abc import Callable
from pathlib import Path

import pytest

MINIMAL = "run: {name: first}\ntask: energy\ndata: {train: {signal: gammas.h5}}\n"


@pytest.fixture
def minimal() -> str:
    """Text of a configuration that gives only what must be given."""
    return MINIMAL


@pytest.fixture
def write_yaml(tmp_path: Path) -> Callable[..., Path]:
    """Function that writes a text as a YAML file and gives its path."""

    def write(text: str = MINIMAL, name: str = "study.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write
