"""The commands ``cache list`` and ``cache clear``."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import rich
import typer

from cherenkov_mlops.cli.config import open_session

cache_app = typer.Typer(
    help="List and remove copies of pixels.", no_args_is_help=True, rich_markup_mode=None
)

Folder = Annotated[
    Path, typer.Argument(metavar="[FOLDER]", help="Run folder, data.cache_dir, or any above them.")
]


@cache_app.command("list")
def list_entries(folder: Folder = Path(".")) -> None:
    """Show what was copied from which file, its size and last use."""
    with open_session("cache") as session:
        rows = import_module("cherenkov_mlops.commands.cache").describe_entries(folder)
        if not rows:
            session.show(f"{folder}: no copies of pixels")
            return
        table = import_module("rich.table").Table(box=None, pad_edge=False)
        for name in rows[0]:
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*row.values())
        rich.print(table)
        session.show(f"{len(rows)} copies, {sum(float(row['MB']) for row in rows):.1f} MB")


@cache_app.command()
def clear(
    folder: Folder = Path("."),
    older_than: Annotated[
        float, typer.Option(metavar="DAYS", min=0, help="Keep what was used in this time.")
    ] = 0.0,
) -> None:
    """Remove copies of pixels; a training makes them again when it needs them."""
    with open_session("cache") as session:
        freed = import_module("cherenkov_mlops.commands.cache").clear(folder, older_than)
        session.show(f"{folder}: {freed / 1e6:.1f} MB freed")
