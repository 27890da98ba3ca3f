"""One function a command; a stage is imported only when its command is called."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cherenkov_mlops import __version__
from cherenkov_mlops.cli.cache import cache_app
from cherenkov_mlops.cli.cluster import doctor, status, submit
from cherenkov_mlops.cli.compress import compress
from cherenkov_mlops.cli.config import (
    Config,
    Deadline,
    DryRun,
    Engine,
    FailOver,
    FailUnder,
    Figures,
    Force,
    LastStage,
    NoCache,
    Overrides,
    Strict,
    Until,
    config_app,
    init,
    open_session,
    with_cache,
    with_engine,
)
from cherenkov_mlops.cli.data import convert, merge, slim
from cherenkov_mlops.cli.simulate import demo, simulate
from cherenkov_mlops.cli.sweep import study, sweep
from cherenkov_mlops.run_dir import RunDir

if TYPE_CHECKING:
    from cherenkov_mlops.config.schema import RunConfig
    from cherenkov_mlops.console import Session

STAGES = {
    "prepare": ["prepare"],
    "train": ["train"],
    "test": ["test"],
    "report": ["report"],
    "run": ["prepare", "train", "test", "report"],
}

app = typer.Typer(
    help="Train, test and compare deep-learning models on Cherenkov-telescope images.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
app.add_typer(config_app, name="config")
app.add_typer(cache_app, name="cache")
app.command()(init)
for _command in (demo, simulate, convert, merge, slim, sweep, study, compress):
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


@app.command()
def prepare(
    config: Config, overrides: Overrides, dry_run: DryRun = False, force: Force = False
) -> None:
    """Check the data, split them, build the untrained model."""
    _run_stage("prepare", config, overrides, dry_run, force)


@app.command()
def train(
    config: Config,
    overrides: Overrides,
    dry_run: DryRun = False,
    force: Force = False,
    deadline: Deadline = None,
    no_cache: NoCache = False,
) -> None:
    """Train the prepared model; what was interrupted goes on."""
    overrides = with_cache(overrides, no_cache)
    _run_stage("train", config, overrides, dry_run, force, deadline=deadline)


@app.command()
def test(
    config: Config,
    overrides: Overrides,
    fail_under: FailUnder,
    fail_over: FailOver,
    dry_run: DryRun = False,
    force: Force = False,
    engine: Engine = None,
) -> None:
    """Predict the test files and compute all metrics."""
    overrides = with_engine(overrides, engine)
    _run_stage("test", config, overrides, dry_run, force, bounds=(fail_under, fail_over))


@app.command()
def report(
    config: Config,
    overrides: Overrides,
    dry_run: DryRun = False,
    force: Force = False,
    strict: Strict = False,
    figures: Figures = None,
) -> None:
    """Write the page of a tested run."""
    _run_stage("report", config, overrides, dry_run, force, strict=strict, figures=figures)


@app.command()
def run(
    config: Config,
    overrides: Overrides,
    fail_under: FailUnder,
    fail_over: FailOver,
    dry_run: DryRun = False,
    force: Force = False,
    deadline: Deadline = None,
    no_cache: NoCache = False,
    until: Until = LastStage.REPORT,
) -> None:
    """Prepare, train, test and report."""
    bounds, overrides = (fail_under, fail_over), with_cache(overrides, no_cache)
    options = {"bounds": bounds, "deadline": deadline, "until": until.value}
    _run_stage("run", config, overrides, dry_run, force, **options)


def _run_stage(
    stage: str,
    path: Path,
    overrides: list[str],
    dry_run: bool,
    force: bool,
    *,
    bounds: tuple[Sequence[str], Sequence[str]] = ((), ()),
    deadline: str | None = None,
    **options: Any,
) -> None:
    with open_session(stage) as session:
        if stage == "report" and _holds_results_only(path):
            import_module("cherenkov_mlops.stages.report").run(None, RunDir(path), **options)
            return
        if deadline is not None:
            parse = import_module("cherenkov_mlops.durations").parse_duration
            options["deadline"] = session.started + parse(deadline)
        config, run_dir = import_module("cherenkov_mlops.config.load").open_run(path, overrides)
        check = _read_gates(config, *bounds) if any(bounds) else None
        if dry_run:
            last = options.get("until", stage)
            stages = STAGES[stage][: STAGES[stage].index(last) + 1]
            _show_plan(session, config, run_dir, stages, force=force)
            return
        session.logs = run_dir.logs
        import_module(f"cherenkov_mlops.stages.{stage}").run(
            config, run_dir, force=force, **options
        )
        if check is not None:
            check(run_dir)


def _read_gates(
    config: "RunConfig", fail_under: Sequence[str], fail_over: Sequence[str]
) -> Callable[[RunDir], None]:
    """The check of the run's results; mistakes in the bounds are found before hours of work."""
    from cherenkov_mlops.commands.gates import check_gates, check_gates_fit, parse_gates
    from cherenkov_mlops.results import read_results

    gates = parse_gates(fail_under, fail_over)
    check_gates_fit(gates, config.tasks)
    return lambda run_dir: check_gates(read_results(run_dir.metrics), gates)


def _holds_results_only(path: Path) -> bool:
    """Whether the path is a folder to which no more than the results of a run were copied."""
    run_dir = RunDir(path)
    return run_dir.metrics.is_file() and not run_dir.resolved_config.exists()


def _show_plan(
    session: "Session",
    config: "RunConfig",
    run_dir: RunDir,
    stages: list[str],
    *,
    force: bool,
) -> None:
    from cherenkov_mlops.config.text import to_yaml
    from cherenkov_mlops.pipeline.lifecycle import describe_plan

    session.show(to_yaml(config.dump()))
    for line in describe_plan(config, run_dir, stages, force=force):
        session.show(line)


@app.command()
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
        stage = import_module("cherenkov_mlops.commands.compare")
        stage.run(
            runs,
            output,
            baseline=baseline,
            allow_different_data=allow_different_data,
            strict=strict,
            figures=figures,
        )
