"""What is recorded about code and machine, so that a result can be made again."""

import os
import platform
import socket
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path


def timestamp() -> str:
    """Now, UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def package_versions() -> dict[str, str]:
    """Versions of Python and of every installed package, by name."""
    installed = {str(package.name).lower(): package.version for package in metadata.distributions()}
    return {"python": platform.python_version(), **dict(sorted(installed.items()))}


def machine() -> dict[str, str | int | None]:
    """Host, operating system, CPU count, memory [GB]."""
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "host": socket.gethostname(),
        "system": platform.platform(),
        "processor": _processor_name(),
        "cpus": os.cpu_count(),
        "memory_gb": round(pages * page_bytes / 1e9),
    }


def _processor_name() -> str:
    """Model of the processor as Linux names it, else the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def slurm_job() -> dict[str, str]:
    """SLURM's identifiers of the running job; empty outside of one."""
    keys = ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT")
    return {key: os.environ[key] for key in keys if key in os.environ}


def git_state(source: Path) -> dict[str, str | bool] | None:
    """Commit of the checkout that ``source`` is tracked in, and whether the tree differs from it.

    None where the code does not come from a checkout: a repository around an installed package
    says nothing about the package.
    """
    try:
        if not _git(source.parent, "ls-files", source.name):
            return None
        commit = _git(source.parent, "rev-parse", "HEAD")
        changed = _git(source.parent, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit, "dirty": bool(changed)}


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
