"""``status``: how far runs are, and what their jobs do."""

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path

from cherenkov_mlops.cluster import slurm
from cherenkov_mlops.commands.submit import ANY_STAGE, read_jobs
from cherenkov_mlops.config.load import open_run
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.pipeline.lifecycle import first_incomplete
from cherenkov_mlops.pipeline.record import RunRecord
from cherenkov_mlops.pipeline.stage import names
from cherenkov_mlops.run_dir import RunDir


@dataclass(frozen=True)
class Status:
    """How far a run is.

    Parameters
    ----------
    name, stage, state : str
        Of the run; its first stage that is not complete, else its last; what it does there.
    epoch : str
        Complete epochs of those planned.
    val_loss : str
        Of the last epoch, and the lowest.
    job, job_state, left, efficiency : str
        Of the stage's last job; empty without one.
    """

    name: str
    stage: str
    state: str
    epoch: str = ""
    val_loss: str = ""
    job: str = ""
    job_state: str = ""
    left: str = ""
    efficiency: str = ""

    @property
    def is_moving(self) -> bool:
        """Whether something may still happen by itself."""
        return bool(self.job_state) and self.job_state.split()[0] not in slurm.ENDED


def find_runs(given: list[Path], default: Path = Path("runs")) -> list[RunDir]:
    """Run folders among the paths, or below them; without paths, those in ``runs``.

    Raises
    ------
    UserError
        A path is no run and holds none.
    """
    found = []
    for path in given or [default]:
        if path.is_file():
            found.append(open_run(path)[1])
            continue
        runs = [path] if RunDir(path).record.exists() or RunDir(path).jobs.exists() else []
        runs = runs or sorted({each.parent for each in path.glob("*/run.json")})
        if not runs:
            raise UserError(f"status: {path}: expected a run, or a folder of runs, found none")
        found += [RunDir(each) for each in runs]
    return found


def read_status(run_dir: RunDir) -> Status:
    """How far the run is."""
    record = RunRecord.read(run_dir)
    stage = first_incomplete(record) or names()[-1]
    epoch, val_loss = _training(run_dir)
    status = Status(run_dir.name, stage, record.state(stage) or "not started", epoch, val_loss)
    jobs = [entry["job"] for entry in read_jobs(run_dir) if entry["stage"] in (stage, ANY_STAGE)]
    if not jobs:
        return status
    state = slurm.read_job(jobs[-1])
    if state is None:
        return replace(status, job=jobs[-1], job_state="unknown")
    said = [state.state, f"({state.reason})" if state.reason not in ("", "None") else ""]
    if state.restarts:
        said.append(f"restarted {state.restarts} times")
    return replace(
        status,
        job=jobs[-1],
        job_state=" ".join(filter(None, said)),
        left=state.left,
        efficiency=slurm.read_efficiency(jobs[-1]) if state.state in slurm.ENDED else "",
    )


def _training(run_dir: RunDir) -> tuple[str, str]:
    """Epochs done of those planned, and the validation loss, last and best."""
    if not run_dir.history.exists():
        return "", ""
    with run_dir.history.open(encoding="utf-8", newline="") as stream:
        losses = [float(row["val_loss"]) for row in csv.DictReader(stream)]
    if not losses:
        return "", ""
    try:
        planned = json.loads(run_dir.training_record.read_text(encoding="utf-8"))[
            "scheduled_epochs"
        ]
    except (OSError, ValueError, KeyError):
        # Written at the end of a training only.
        planned = open_run(run_dir.path)[0].train.n_epochs
    return f"{len(losses)}/{planned}", f"{losses[-1]:.4g}, best {min(losses):.4g}"
