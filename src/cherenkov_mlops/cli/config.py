"""Options of all commands, and the commands ``init`` and ``config ...``; quick to import."""

from enum import StrEnum
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cherenkov_mlops.errors import ConfigError, DataError, UserError
from cherenkov_mlops.run_dir import write_text_atomically

if TYPE_CHECKING:
    from cherenkov_mlops.config.schema import RunConfig
    from cherenkov_mlops.console import Session

config_app = typer.Typer(
    help="Check, show and convert configurations.", no_args_is_help=True, rich_markup_mode=None
)

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


class LastStage(StrEnum):
    """Stages that a chain may end with."""

    PREPARE = "prepare"
    TRAIN = "train"
    TEST = "test"
    REPORT = "report"


Until = Annotated[LastStage, typer.Option("--until", help="The last stage.")]
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


def with_cache(overrides: list[str], no_cache: bool) -> list[str]:
    """``--no-cache`` is a short name for an option."""
    return [*overrides, "data.cache=false"] if no_cache else overrides


def with_engine(overrides: list[str], engine: str | None) -> list[str]:
    """``--engine`` is a short name for an option."""
    return [*overrides, f"test.engine={engine}"] if engine else overrides


def open_session(command: str) -> "Session":
    """Terminal, log file and exit codes of one command; imported late, for the help is quick."""
    return import_module("cherenkov_mlops.console").Session(command)


def init(
    output: Annotated[Path, typer.Option(help="YAML file to write.")] = Path("study.yaml"),
    task: Annotated[str, typer.Option(help="Name of a task, such as type or energy.")] = "type",
    telescope: Annotated[str, typer.Option(help="SST1M, LST, MST or ASTRI.")] = "SST1M",
    force: Overwrite = False,
) -> None:
    """Write a commented configuration to start from."""
    with open_session("init") as session:
        template = import_module("cherenkov_mlops.config.template")
        text = template.make_template(task, telescope, output.stem)
        _write_or_show(session, text, output, force)


@config_app.command()
def check(config: Config, overrides: Overrides) -> None:
    """Find all mistakes of a configuration.

    Names of CTLearn's options and missing files are among them.
    """
    with open_session("config-check") as session:
        loaded = _load(config, overrides)
        problems = _find_missing_files(loaded)
        if loaded.ctlearn:
            tool_config = import_module("cherenkov_mlops.models.ctlearn_options")
            problems += tool_config.check_trait_names(loaded)
        if problems:
            raise ConfigError(problems)
        session.show(f"{config}: no mistakes")


def _find_missing_files(config: "RunConfig") -> list[str]:
    """One line for each path or pattern of a configuration that names no file."""
    files = import_module("cherenkov_mlops.data.files")
    problems = []
    for key in (
        f"{part}.{label}" for part in ("train", "test") for label in ("signal", "background")
    ):
        for number, pattern in enumerate(attrgetter(key)(config.data)):
            try:
                name = f"data.{key}[{number}]"
                files.expand_patterns([pattern], f"{config.locate(name)}: {name}")
            except DataError as error:
                problems.append(str(error))
    for name in ("model.file", "model.load_model_from"):
        path = attrgetter(name)(config)
        if path is not None and not path.is_file():
            problems.append(f"{config.locate(name)}: {name}: {path}: no such file")
    return problems


@config_app.command()
def show(config: Config, overrides: Overrides) -> None:
    """Print a configuration with all defaults.

    What it extends and the overrides are filled in.
    """
    with open_session("config-show") as session:
        loaded = _load(config, overrides)
        session.show(import_module("cherenkov_mlops.config.text").to_yaml(loaded.dump()))


@config_app.command()
def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="As a page of tables.")] = False,
    output: Output = None,
    force: Overwrite = False,
) -> None:
    """Print all options as JSON Schema for editors, or as a page."""
    with open_session("config-schema") as session:
        document = import_module("cherenkov_mlops.config.document")
        text = document.make_markdown() if markdown else document.make_json_schema()
        _write_or_show(session, text, output, force)


@config_app.command()
def convert(
    old: Annotated[
        Path, typer.Argument(metavar="OLD", help="YAML with prepare_model and training_model.")
    ],
    output: Output = None,
    force: Overwrite = False,
) -> None:
    """Rewrite a configuration of the pipeline's predecessor."""
    with open_session("config-convert") as session:
        text, warnings = import_module("cherenkov_mlops.config.convert").convert_file(old)
        _write_or_show(session, text, output, force)
        for warning in warnings:
            session.warn(warning)


def _write_or_show(session: "Session", text: str, output: Path | None, force: bool) -> None:
    if output is None:
        session.show(text)
        return
    if output.exists() and not force:
        raise UserError(f"{output}: exists already; write --force to replace it, or another name")
    write_text_atomically(output, text)
    session.show(f"{output}: written")


def _load(path: Path, overrides: list[str]) -> "RunConfig":
    config, _ = import_module("cherenkov_mlops.config.load").open_run(path, overrides)
    return config
