"""The command ``compress``."""

from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import rich
import typer

from cherenkov_mlops.cli_config import open_session


class Format(StrEnum):
    """Formats of an export."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    DYNAMIC = "dynamic"
    INT8 = "int8"
    INT4 = "int4"
    PACKED = "packed"


def compress(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder, or YAML, of a trained run.")],
    to: Annotated[
        list[Format],
        typer.Option("--to", help="Numbers of the export; several times for several exports."),
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Replace runs of earlier exports.")
    ] = False,
) -> None:
    """Export a trained model in smaller numbers, as runs of their own.

    `test`, `report` and `compare` take these runs as any other.
    """
    with open_session("compress") as session:
        load = import_module("cherenkov_mlops.config.load")
        config, run_dir = load.open_run(run)
        session.logs = run_dir.logs
        formats = list(dict.fromkeys(each.value for each in to))
        done = import_module("cherenkov_mlops.stages.compress").run(
            config, run_dir, formats, force=force
        )
        table = import_module("rich.table").Table(box=None, pad_edge=False)
        for name in ("run", "MB", "zipped MB", "of the Keras model", "largest difference"):
            table.add_column(name, justify="left" if name == "run" else "right", overflow="fold")
        for each in done:
            table.add_row(
                each.run_dir.name,
                f"{each.size / 1e6:.3g}",
                f"{each.zipped / 1e6:.3g}",
                f"{100 * each.zipped_share:.1f} %",
                f"{each.difference:.2g}",
            )
        rich.print(table)
        session.show(f"next: cherenkov-mlops test {done[0].run_dir.path}")
