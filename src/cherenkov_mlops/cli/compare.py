"""The command ``compare``."""

from pathlib import Path
from typing import Annotated

import typer

from cherenkov_mlops.cli.options import Figures, Strict, open_session


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folders, metrics.json files or reports."),
    ],
    output: Annotated[Path, typer.Option(help="Page to write.")] = Path("comparison.html"),
    baseline: Annotated[
        str | None, typer.Option(help="Name of the run that the others are divided by.")
    ] = None,
    allow_different_data: Annotated[
        bool, typer.Option("--allow-different-data", help="Show other test sets too, unranked.")
    ] = False,
    strict: Strict = False,
    figures: Figures = None,
) -> None:
    """Put several tested runs side by side."""
    with open_session("compare"):
        from cherenkov_mlops.commands import compare as command

        command.run(
            runs,
            output,
            baseline=baseline,
            allow_different_data=allow_different_data,
            strict=strict,
            figures=figures,
        )
