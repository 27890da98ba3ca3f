"""What is recorded about code and machine, so that a result can be made again."""

import os
import platform
import socket
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "cherenkov-mlops",
    "ctlearn",
    "dl1_data_handler",
    "ctapipe",
    "tensorflow",
    "keras",
    "numpy",
    "astropy",
    "scikit-learn",
    "pyirf",
    "tables",
    "matplotlib",
)


def timestamp() -> str:
    """Now, UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def package_versions() -> dict[str, str]:
    """Versions of the packages that a result depends on; those not installed are left out."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


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


def git_state(folder: Path) -> dict[str, str | bool] | None:
    """Commit and whether the tree differs from it; None where there is no git checkout."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit, "dirty": bool(changed)}


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
