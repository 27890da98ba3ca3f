"""The command ``demo``."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from cherenkov_mlops.cli_config import Force, open_session


def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Folder for data, runs and pages.")
    ] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of the simulated showers.")] = 1,
    force: Force = False,
    data_only: Annotated[
        bool, typer.Option("--data-only", help="Simulate the files of the demo, train nothing.")
    ] = False,
) -> None:
    """Run everything on simulated showers, in minutes.

    Needs neither data nor a GPU.
    """
    with open_session("demo"):
        stage = import_module("cherenkov_mlops.stages.demo")
        stage.run(folder, seed=seed, force=force, data_only=data_only)
