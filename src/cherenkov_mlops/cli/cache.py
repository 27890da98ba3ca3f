"""The commands ``cache list`` and ``cache clear``."""

from pathlib import Path
from typing import Annotated

import typer

from cherenkov_mlops.cli.options import open_session

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
        from cherenkov_mlops.commands.cache import describe_entries
        from cherenkov_mlops.console import show_table

        rows = describe_entries(folder)
        if not rows:
            session.show(f"{folder}: no copies of pixels")
            return
        show_table(list(rows[0]), [list(row.values()) for row in rows])
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
        from cherenkov_mlops.commands import cache

        freed = cache.clear(folder, older_than)
        session.show(f"{folder}: {freed / 1e6:.1f} MB freed")
