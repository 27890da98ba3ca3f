"""Where results come from: stages, machines, versions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cherenkov_mlops.reporting.tables import MISSING, flatten, format_value
from cherenkov_mlops.reporting.views import RunView

#: Keys that have a table of their own.
_KNOWN = ("stages", "versions")
#: Packages that a reader asks for first.
_MAIN = (
    "python",
    "cherenkov-mlops",
    "ctlearn",
    "dl1-data-handler",
    "dl1_data_handler",
    "ctapipe",
    "keras",
    "tensorflow",
    "numpy",
    "scikit-learn",
    "pyirf",
)


def provenance_section(views: Sequence[RunView]) -> dict[str, Any]:
    """``stages`` (one row an attempt), ``versions``, ``packages`` and ``other`` by key."""
    contents = [view.results.provenance for view in views]
    others = [
        {key: value for key, value in content.items() if key not in _KNOWN} for content in contents
    ]
    versions = _side_by_side([content.get("versions", {}) for content in contents])
    # What differs between runs counts as important too.
    main = [name for name, row in versions.items() if name in _MAIN or len(set(row)) > 1]
    main = main or list(versions)
    return {
        "stages": [row for view in views for row in _attempts(view)],
        "versions": {name: row for name, row in versions.items() if name in main},
        "packages": versions if len(versions) > len(main) else {},
        "other": _side_by_side([flatten(content) for content in others]),
    }


def _side_by_side(leaves: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    keys = dict.fromkeys(key for found in leaves for key in found)
    return {key: [format_value(found.get(key)) for found in leaves] for key in keys}


def _attempts(view: RunView) -> list[dict[str, str]]:
    rows = []
    for stage, attempts in view.results.provenance.get("stages", {}).items():
        for number, attempt in enumerate(attempts if isinstance(attempts, list) else [], start=1):
            if isinstance(attempt, dict):
                rows.append({"run": view.label} | _attempt_row(stage, number, attempt))
    return rows


def _attempt_row(stage: str, number: int, attempt: dict[str, Any]) -> dict[str, str]:
    leaves = flatten(attempt)
    commit = str(leaves.get("git.commit") or "")[:10]
    changed = " + changes" if commit and leaves.get("git.dirty") else ""
    return {
        "stage": stage,
        "attempt": str(number),
        # The stage that writes the results has not ended yet when it writes them.
        "state": str(attempt.get("state", "wrote these results")),
        "started": str(attempt.get("started", MISSING))[:19].replace("T", " "),
        "duration": _duration(attempt.get("started"), attempt.get("ended")),
        "host": str(leaves.get("machine.host", MISSING)),
        "code": (commit + changed) or MISSING,
        "job": str(leaves.get("slurm.job_id") or leaves.get("slurm.SLURM_JOB_ID") or MISSING),
    }


def _duration(started: Any, ended: Any) -> str:
    try:
        seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
    except (TypeError, ValueError):
        return MISSING
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if seconds >= 60 else f"{seconds:.0f} s"
