"""The commands ``sweep`` and ``study``."""

from pathlib import Path
from typing import Annotated

import typer

from cherenkov_mlops.cli.options import DryRun, open_session
from cherenkov_mlops.errors import UserError


def sweep(
    path: Annotated[
        Path, typer.Argument(metavar="SWEEP", help="YAML file with grid, list or random.")
    ],
    local: Annotated[
        int, typer.Option("--local", min=1, metavar="N", help="Runs side by side on this machine.")
    ] = 1,
    submit: Annotated[
        bool, typer.Option("--submit", help="Run on a SLURM cluster, as an array of jobs.")
    ] = False,
    at_once: Annotated[
        int | None,
        typer.Option("--at-once", min=1, metavar="N", help="Jobs of the array at a time."),
    ] = None,
    collect: Annotated[
        bool,
        typer.Option("--collect", help="Run nothing: write the page, list what is not complete."),
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Run many configurations, made from one file.

    Complete runs are passed over; the same command goes on after an end.
    """
    with open_session("sweep") as session:
        from cherenkov_mlops.sweep import array, guided, running
        from cherenkov_mlops.sweep.plan import load_sweep

        loaded = load_sweep(path)
        if dry_run:
            for line in running.describe_sweep(loaded, local):
                session.show(line)
            return
        session.logs = loaded.folder / "logs"
        if loaded.is_guided:
            if submit or collect:
                raise UserError(f"{path}: random.guided_by: such a sweep runs here, by --local")
            guided.run(loaded, local)
        elif submit:
            array.submit_sweep(loaded, at_once)
        elif collect:
            array.collect(loaded)
        else:
            running.run(loaded, local)


def study(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SWEEP|RUN...", help="A sweep file; or run folders, metrics.json."),
    ],
    output: Annotated[Path, typer.Option(help="Page to write.")] = Path("study.html"),
) -> None:
    """Say what pruning costs, from pruned runs and their dense baselines.

    The page has each metric against sparsity, sizes, and a verdict a row.
    """
    with open_session("study"):
        from cherenkov_mlops.sweep import pages

        pages.run(sources, output)
