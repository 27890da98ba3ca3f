"""The program ``cherenkov-mlops``: all commands; what one does is imported when it is called."""

from typing import Annotated

import typer

from cherenkov_mlops import __version__
from cherenkov_mlops.cli.cache import cache_app
from cherenkov_mlops.cli.cluster import doctor, status, submit
from cherenkov_mlops.cli.compare import compare
from cherenkov_mlops.cli.compress import compress
from cherenkov_mlops.cli.config import config_app, init
from cherenkov_mlops.cli.data import convert, merge, slim
from cherenkov_mlops.cli.simulate import demo, simulate
from cherenkov_mlops.cli.stages import add_stages
from cherenkov_mlops.cli.sweep import study, sweep

app = typer.Typer(
    help="Train, test and compare deep-learning models on Cherenkov-telescope images.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
app.add_typer(config_app, name="config")
app.add_typer(cache_app, name="cache")
app.command()(init)
# The table of stages is read here, and the packages that add stages are imported: nothing but the
# program itself imports this module.
add_stages(app)
for _command in (compare, demo, simulate, convert, merge, slim, sweep, study, compress):
    app.command()(_command)
for _command in (submit, status, doctor):
    app.command()(_command)


def main() -> None:
    """Entry point of the program ``cherenkov-mlops``."""
    app(prog_name="cherenkov-mlops")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cherenkov-mlops {__version__}")
        raise typer.Exit


@app.callback()
def _take_common_options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_print_version)
    ] = False,
) -> None: ...
