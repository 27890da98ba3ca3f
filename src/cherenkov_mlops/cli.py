"""One function a command; a stage is imported only when its command is called."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cherenkov_mlops import __version__
from cherenkov_mlops.cli_cache import cache_app
from cherenkov_mlops.cli_compress import compress
from cherenkov_mlops.cli_config import (
    Config,
    Deadline,
    DryRun,
    Engine,
    FailOver,
    FailUnder,
    Figures,
    Force,
    NoCache,
    Overrides,
    Overwrite,
    Strict,
    config_app,
    init,
    open_session,
    with_cache,
    with_engine,
)
from cherenkov_mlops.cli_data import convert, merge, slim
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
for _command in (convert, merge, slim, compress):
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
) -> None:
    """Prepare, train, test and report."""
    bounds, overrides = (fail_under, fail_over), with_cache(overrides, no_cache)
    _run_stage("run", config, overrides, dry_run, force, bounds=bounds, deadline=deadline)


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
            parse = import_module("cherenkov_mlops.engine.time_limit").parse_duration
            options["deadline"] = session.started + parse(deadline)
        config, run_dir = import_module("cherenkov_mlops.config.load").open_run(path, overrides)
        check = _read_gates(config, *bounds) if any(bounds) else None
        if dry_run:
            _show_plan(session, config, run_dir, STAGES[stage], force=force)
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
    from cherenkov_mlops.results import read_results
    from cherenkov_mlops.stages.gates import check_gates, check_gates_fit, parse_gates

    gates = parse_gates(fail_under, fail_over)
    check_gates_fit(gates, config.task)
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
    from cherenkov_mlops.stages.lifecycle import describe_plan

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
        stage = import_module("cherenkov_mlops.stages.compare")
        stage.run(
            runs,
            output,
            baseline=baseline,
            allow_different_data=allow_different_data,
            strict=strict,
            figures=figures,
        )


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Folder for data, runs and pages.")
    ] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of the simulated showers.")] = 1,
    force: Force = False,
) -> None:
    """Run everything on simulated showers, in minutes.

    Needs neither data nor a GPU.
    """
    with open_session("demo"):
        import_module("cherenkov_mlops.stages.demo").run(folder, seed=seed, force=force)


@app.command()
def simulate(
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="DL1 file to write, *.dl1.h5.")],
    particle: Annotated[
        str, typer.Option(help="gamma, proton, or nsb: windows without a shower.")
    ] = "gamma",
    n_showers: Annotated[int | None, typer.Option(help="Showers to throw.")] = None,
    n_images: Annotated[
        int | None, typer.Option(help="Stop after so many telescope images [default: 1000].")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed: equal options give equal files.")] = 1,
    energy_min_tev: Annotated[float, typer.Option(help="Lowest true energy, TeV.")] = 1.0,
    energy_max_tev: Annotated[float, typer.Option(help="Highest true energy, TeV.")] = 100.0,
    spectral_index: Annotated[float, typer.Option(help="Index of the power law dN/dE.")] = -2.0,
    viewcone_deg: Annotated[
        float, typer.Option(help="Radius of the cone of directions, deg; 0 = a point source.")
    ] = 0.0,
    offset_deg: Annotated[
        float, typer.Option(help="Distance of the point source from the pointing, deg.")
    ] = 0.0,
    zenith_deg: Annotated[float, typer.Option(help="Zenith angle of the pointing, deg.")] = 20.0,
    azimuth_deg: Annotated[
        float, typer.Option(help="Azimuth of the pointing, deg, from north over east.")
    ] = 0.0,
    scatter_radius_m: Annotated[
        float, typer.Option(help="Radius of the disk of shower cores, m.")
    ] = 400.0,
    subarray: Annotated[
        Path | None, typer.Option(help="HDF5 file with ctapipe's SubarrayDescription.")
    ] = None,
    obs_id: Annotated[int | None, typer.Option(help="Observation id.")] = None,
    true_images: Annotated[
        bool, typer.Option("--true-images", help="Write the photoelectrons before noise too.")
    ] = False,
    waveforms: Annotated[
        bool, typer.Option("--waveforms", help="Simulate and write R1 waveforms too.")
    ] = False,
    force: Overwrite = False,
) -> None:
    """Simulate showers into a DL1 file.

    The array is the SST-1M pair, or the one of --subarray.
    """
    options = dict(locals())
    with open_session("simulate"):
        import_module("cherenkov_mlops.stages.simulate").run(**options)
