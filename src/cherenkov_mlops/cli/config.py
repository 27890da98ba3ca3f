"""The commands ``init`` and ``config ...``."""

from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cherenkov_mlops.cli.options import (
    Config,
    Output,
    Overrides,
    Overwrite,
    open_session,
    write_or_show,
)
from cherenkov_mlops.errors import ConfigError, DataError

if TYPE_CHECKING:
    from cherenkov_mlops.config.schema import RunConfig

config_app = typer.Typer(
    help="Check, show and convert configurations.", no_args_is_help=True, rich_markup_mode=None
)


def init(
    output: Annotated[Path, typer.Option(help="YAML file to write; - is the terminal.")] = Path(
        "study.yaml"
    ),
    task: Annotated[str, typer.Option(help="Name of a task, such as type or energy.")] = "type",
    telescope: Annotated[str, typer.Option(help="SST1M, LST, MST or ASTRI.")] = "SST1M",
    force: Overwrite = False,
) -> None:
    """Write a commented configuration to start from."""
    with open_session("init") as session:
        from cherenkov_mlops.config.template import make_template

        name = "study" if str(output) == "-" else output.stem
        text = make_template(task, telescope, name)
        write_or_show(session, text, output, force)


@config_app.command()
def check(config: Config, overrides: Overrides) -> None:
    """Find all mistakes of a configuration.

    Names of CTLearn's options and missing files are among them.
    """
    with open_session("config-check") as session:
        from cherenkov_mlops.config.load import open_run
        from cherenkov_mlops.pipeline.stage import check_cluster_names

        loaded, _ = open_run(config, overrides)
        problems = _find_missing_files(loaded) + check_cluster_names(loaded)
        if loaded.ctlearn:
            # Knows all of CTLearn, which takes seconds to import.
            from cherenkov_mlops.models.ctlearn_options import check_trait_names

            problems += check_trait_names(loaded)
        if problems:
            raise ConfigError(problems)
        session.show(f"{config}: no mistakes")


def _find_missing_files(config: "RunConfig") -> list[str]:
    """One line for each path or pattern of a configuration that names no file."""
    from cherenkov_mlops.data.files import expand_patterns

    problems = []
    for key in (
        f"{part}.{label}" for part in ("train", "test") for label in ("signal", "background")
    ):
        for number, pattern in enumerate(attrgetter(key)(config.data)):
            try:
                name = f"data.{key}[{number}]"
                expand_patterns([pattern], f"{config.locate(name)}: {name}")
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
        from cherenkov_mlops.config.load import open_run
        from cherenkov_mlops.config.text import to_yaml

        session.show(to_yaml(open_run(config, overrides)[0].dump()))


@config_app.command()
def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="As a page of tables.")] = False,
    output: Output = None,
    force: Overwrite = False,
) -> None:
    """Print all options as JSON Schema for editors, or as a page."""
    with open_session("config-schema") as session:
        from cherenkov_mlops.config.document import make_json_schema, make_markdown

        text = make_markdown() if markdown else make_json_schema()
        write_or_show(session, text, output, force)


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
        from cherenkov_mlops.config.convert import convert_file

        text, warnings = convert_file(old)
        write_or_show(session, text, output, force)
        for warning in warnings:
            session.warn(warning)
