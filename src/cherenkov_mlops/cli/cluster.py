"""The commands ``submit``, ``status`` and ``doctor``."""

import time
from importlib import import_module
from pathlib import Path
from typing import Annotated

import rich
import typer

from cherenkov_mlops.cli.config import Config, Overrides, open_session
from cherenkov_mlops.errors import UserError

#: More often would be a burden for the daemons of a cluster.
LEAST_SECONDS = 30
COLUMNS = {
    "name": "run",
    "stage": "stage",
    "state": "state",
    "epoch": "epoch",
    "val_loss": "val_loss",
    "job": "job",
    "job_state": "job state",
    "left": "time left",
    "efficiency": "used",
}


def submit(
    config: Config,
    overrides: Overrides,
    stages: Annotated[
        str, typer.Option(help="Stages, with commas between them.")
    ] = "prepare,train,test,report",
    chain: Annotated[
        int | None,
        typer.Option(
            "--chain",
            min=1,
            metavar="N",
            help="N trainings one after the other, where jobs must not be requeued.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the sbatch commands; submit nothing.")
    ] = False,
) -> None:
    """Submit the stages of a run to SLURM, each after the one before.

    What the jobs ask for stands in the section slurm of the configuration.
    """
    with open_session("submit") as session:
        loaded, run_dir = import_module("cherenkov_mlops.config.load").open_run(config, overrides)
        stage = import_module("cherenkov_mlops.commands.submit")
        names = [name.strip() for name in stages.split(",") if name.strip()]
        if dry_run:
            steps = stage.plan(loaded, run_dir, config, names, overrides, chain=chain)
            for line in stage.describe(steps):
                session.show(line)
            return
        session.logs = run_dir.logs
        stage.run(loaded, run_dir, config, names, overrides, chain=chain)
        session.show(f"next: cherenkov-mlops status {run_dir.path}")


def status(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RUN]...", help="Run folders, YAML files, or folders of runs."),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            "--every", metavar="SECONDS", help="Look again and again until all jobs have ended."
        ),
    ] = None,
) -> None:
    """Show how far runs are: stage, epoch, loss, and what their jobs do."""
    with open_session("status"):
        if every is not None and every < LEAST_SECONDS:
            raise UserError(
                f"--every: expected at least {LEAST_SECONDS} seconds, for the cluster's sake, "
                f"got {every}"
            )
        stage = import_module("cherenkov_mlops.commands.status")
        while True:
            found = [stage.read_status(run) for run in stage.find_runs(runs or [])]
            _show(found)
            if every is None or not any(each.is_moving for each in found):
                return
            time.sleep(every)


def _show(found: list) -> None:
    table = import_module("rich.table").Table(box=None, pad_edge=False)
    # A column that is empty everywhere, as those of jobs without a cluster, is left out.
    shown = {
        key: head for key, head in COLUMNS.items() if any(getattr(each, key) for each in found)
    }
    for head in shown.values():
        table.add_column(head, overflow="fold")
    for each in found:
        table.add_row(*(getattr(each, key) for key in shown))
    rich.print(table)


def doctor(
    gpu: Annotated[bool, typer.Option("--gpu", help="Look for GPUs, and try them.")] = False,
    cluster: Annotated[bool, typer.Option("--slurm", help="Look at SLURM's partitions.")] = False,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="CONFIG", help="Check a run's data, estimate its training."),
    ] = None,
) -> None:
    """Check this machine: packages, disks, GPUs, cluster, data.

    The exit code is 2 if something stands in the way of the work.
    """
    with open_session("doctor") as session:
        config = None
        if data is not None:
            config = import_module("cherenkov_mlops.config.load").open_run(data)[0]
        checks = import_module("cherenkov_mlops.commands.doctor")
        marks = {"ok": "ok  ", "warning": "note", "bad": "BAD "}
        n_bad = 0
        for check in checks.run(gpu=gpu, cluster=cluster, config=config):
            n_bad += check.mark == "bad"
            session.show(f"{marks[check.mark]}  {check.what}: {check.said}")
        if n_bad:
            raise UserError(f"doctor: {n_bad} of these stand in the way of the work")
