"""The commands ``submit``, ``status`` and ``doctor``."""

import time
from pathlib import Path
from typing import Annotated

import typer

from cherenkov_mlops.cli.options import Config, Overrides, open_session
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
        str | None, typer.Option(help="Stages, with commas between them [default: all].")
    ] = None,
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
        from cherenkov_mlops.commands import submit as command
        from cherenkov_mlops.config.load import open_run
        from cherenkov_mlops.pipeline.stage import names

        loaded, run_dir = open_run(config, overrides)
        given = [name.strip() for name in (stages or "").split(",") if name.strip()]
        given = given or names()
        if dry_run:
            steps = command.plan(loaded, run_dir, config, given, overrides, chain=chain)
            for line in command.describe(steps):
                session.show(line)
            return
        session.logs = run_dir.logs
        command.run(loaded, run_dir, config, given, overrides, chain=chain)
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
        from cherenkov_mlops.commands.status import find_runs, read_status
        from cherenkov_mlops.console import show_table

        while True:
            found = [read_status(run) for run in find_runs(runs or [])]
            # A column that is empty everywhere, as those of jobs without a cluster, is left out.
            shown = [key for key in COLUMNS if any(getattr(each, key) for each in found)]
            rows = [[getattr(each, key) for key in shown] for each in found]
            show_table([COLUMNS[key] for key in shown], rows)
            if every is None or not any(each.is_moving for each in found):
                return
            time.sleep(every)


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
        from cherenkov_mlops.commands import doctor as command
        from cherenkov_mlops.config.load import open_run

        config = None if data is None else open_run(data)[0]
        marks = {"ok": "ok  ", "warning": "note", "bad": "BAD "}
        n_bad = 0
        for check in command.run(gpu=gpu, cluster=cluster, config=config):
            n_bad += check.mark == "bad"
            session.show(f"{marks[check.mark]}  {check.what}: {check.said}")
        if n_bad:
            raise UserError(f"doctor: {n_bad} of these stand in the way of the work")
