"""The command ``compress``."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cherenkov_mlops.cli.options import open_session
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.forms import FORMS
from cherenkov_mlops.run_dir import RunDir

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cherenkov_mlops.commands.compress import Compressed
    from cherenkov_mlops.config.schema import RunConfig
    from cherenkov_mlops.console import Session

#: Values of ``--to``.
Format = StrEnum("Format", {name: name for name in FORMS})


def compress(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder, or YAML, of a trained run.")],
    to: Annotated[
        list[Format],
        typer.Option(
            "--to",
            default_factory=list,
            show_default=False,
            help="Form of the export; several times for several exports.",
        ),
    ],
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Measure time and memory of the model and its exports.",
        ),
    ] = False,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="RATE",
            help="Which exports take so many images a second on one core, as 1kHz, from stored "
            "pixels to predictions, and which of them is best.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace runs of earlier exports.")
    ] = False,
) -> None:
    """Export a trained model in other forms, as runs of their own.

    `test`, `report` and `compare` take these runs as any other.
    """
    with open_session("compress") as session:
        if not (to or measure or budget):
            raise UserError("compress: expected --to, --measure or --budget, got none of them")
        from cherenkov_mlops.commands import compress as command
        from cherenkov_mlops.config.load import open_run
        from cherenkov_mlops.config.rates import parse_rate

        rate_hz = parse_rate(budget, "--budget") if budget is not None else None
        config, run_dir = open_run(run)
        session.logs = run_dir.logs
        command.check_trained(config, run_dir)
        made = None
        if to:
            formats = list(dict.fromkeys(each.value for each in to))
            done = command.run(config, run_dir, formats, force=force)
            made = [open_run(each.run_dir.path) for each in done]
            _show_sizes(done)
        if measure:
            _measure(session, config, run_dir, made)
        if rate_hz is not None:
            _find_best(session, config, run_dir, rate_hz)
        elif to:
            session.show(f"next: cherenkov-mlops test {made[0][1].path}")


def _show_sizes(done: "Sequence[Compressed]") -> None:
    from cherenkov_mlops.console import show_table

    columns = ("run", "MB", "zipped MB", "of Keras'", "largest difference")
    rows = [
        (
            each.run_dir.name,
            f"{each.size / 1e6:.3g}",
            f"{each.zipped / 1e6:.3g}",
            f"{100 * each.zipped_share:.1f} %",
            f"{each.difference:.2g}",
        )
        for each in done
    ]
    show_table(columns, rows, numbers=True)


def _measure(
    session: "Session",
    config: "RunConfig",
    run_dir: RunDir,
    made: "list[tuple[RunConfig, RunDir]] | None",
) -> None:
    from cherenkov_mlops.commands import costs
    from cherenkov_mlops.console import show_table

    exports = costs.find_exports(run_dir) if made is None else made
    found = costs.measure_runs([(config, run_dir), *exports])
    session.show(costs.describe_network(config, run_dir))
    rows = [costs.describe_costs(each) for each in found]
    show_table(costs.COST_COLUMNS, rows, numbers=True)


def _find_best(session: "Session", config: "RunConfig", run_dir: RunDir, rate_hz: float) -> None:
    from cherenkov_mlops.commands import budget as command
    from cherenkov_mlops.console import show_table

    budget = command.run(config, run_dir, rate_hz)
    rows = [command.describe(budget, each) for each in budget.offers]
    show_table(command.columns(budget), rows, numbers=True)
    for line in command.advise(budget):
        session.show(line)
    command.check_budget(budget)
