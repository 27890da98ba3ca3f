"""Options that several commands take, and what all commands share; quick to import."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cherenkov_mlops.errors import UserError
from cherenkov_mlops.run_dir import write_text_atomically

if TYPE_CHECKING:
    from cherenkov_mlops.console import Session

Config = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="YAML file, or the folder of an existing run.")
]
Overrides = Annotated[
    list[str],
    typer.Option(
        "-o",
        default_factory=list,
        show_default=False,
        metavar="KEY=VALUE",
        help="Change one option, as -o train.n_epochs=5; may be repeated.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would run; write nothing.")]
Force = Annotated[bool, typer.Option("--force", help="Run again what is complete.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse results of which anything is missing or wrong.")
]
Figures = Annotated[
    Path | None,
    typer.Option("--figures", metavar="DIR", help="Write each figure there too, as PDF and PNG."),
]
Deadline = Annotated[
    str | None,
    typer.Option(
        "--deadline",
        metavar="TIME",
        help="Time until the training has to stop, from now, as 11:30:00, 1-12:00:00 or 90 "
        "(minutes); it stops with exit code 75, and the same command goes on.",
    ),
]


Until = Annotated[
    str | None, typer.Option("--until", metavar="STAGE", help="The last stage [default: all].")
]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Read the HDF5 files; make no copy of the pixels.")
]
Engine = Annotated[
    str | None,
    typer.Option(
        metavar="ENGINE",
        help="What computes the network: keras, litert, onnx, openvino, or auto: the fastest that "
        "gives Keras' numbers within 1e-5.",
    ),
]
FailUnder = Annotated[
    list[str],
    typer.Option(
        "--fail-under",
        default_factory=list,
        show_default=False,
        metavar="METRIC=BOUND",
        help="End with exit code 4 if the metric is lower, as auc=0.9; may be repeated.",
    ),
]
FailOver = Annotated[
    list[str],
    typer.Option(
        "--fail-over",
        default_factory=list,
        show_default=False,
        metavar="METRIC=BOUND",
        help="End with exit code 4 if the metric is higher, as mdae=0.3; may be repeated.",
    ),
]
Output = Annotated[Path | None, typer.Option("--output", help="File to write, else the terminal.")]


def open_session(command: str) -> "Session":
    """Terminal, log file and exit codes of one command."""
    # Late, as all that the functions of the commands import: the help is quick.
    from cherenkov_mlops.console import Session

    return Session(command)


def write_or_show(session: "Session", text: str, output: Path | None, force: bool) -> None:
    """Write a text to a file, or to the terminal if there is none or it is named ``-``."""
    if output is None or str(output) == "-":
        session.show(text)
        return
    if output.exists() and not force:
        raise UserError(f"{output}: exists already; write --force to replace it, or another name")
    write_text_atomically(output, text)
    session.show(f"{output}: written")
