"""A real SLURM for the tests of this folder."""

import shutil
import tempfile
from pathlib import Path

import pytest

from mini_slurm import MiniSlurm, why_not


@pytest.fixture(scope="session")
def slurm():
    """SLURM on this machine, running; its environment is that of this process, too."""
    if reason := why_not():
        pytest.skip(reason)
    # A short path, for the names of sockets.
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch, MiniSlurm(folder) as mini:
        for name in ("SLURM_CONF", "PATH"):
            patch.setenv(name, mini.environment[name])
        yield mini
    shutil.rmtree(folder, ignore_errors=True)
