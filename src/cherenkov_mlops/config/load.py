"""One YAML file, what it extends and the overrides, as a checked configuration."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cherenkov_mlops.config.checks import NotKnown, check_together
from cherenkov_mlops.config.files import (
    merge,
    place_of,
    read_files,
    resolve_paths,
    settle_tasks,
    value_at,
)
from cherenkov_mlops.config.problems import explain_errors
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.config.words import default_at
from cherenkov_mlops.config.yaml_text import Document, Place, Problem, dotted, read_yaml, split_key
from cherenkov_mlops.errors import ConfigError, UserError
from cherenkov_mlops.run_dir import RunDir

# Behind the places of all files.
_RANK = 1_000_000


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read the configuration in ``path``, checked as a whole.

    Parameters
    ----------
    path : pathlib.Path
        YAML file; its relative paths resolve against its folder.
    overrides : sequence of str
        ``dotted.key=value``, the value as in YAML; relative paths resolve against the current
        folder.

    Raises
    ------
    cherenkov_mlops.errors.ConfigError
        With all mistakes, one line each, sorted by place.
    """
    document = read_files(Path(path))
    # A text that cannot be read says nothing about its options.
    if document.values is not None:
        for number, override in enumerate(overrides):
            document = apply_override(document, override, number)
    return check_document(document, Path(path))


def apply_override(document: Document, override: str, number: int = 0) -> Document:
    """Change one option of ``document``, or note one more mistake.

    Parameters
    ----------
    document : Document
        Values so far.
    override : str
        ``dotted.key=value``, the value as in YAML; relative paths start in the current folder.
    number : int
        Position on the command line.
    """
    name, equals, text = override.partition("=")
    key = tuple(part.strip() for part in name.split("."))
    place = Place(_RANK + number, 0, 0, f"-o {name.strip()}", Path.cwd())
    message = "" if equals and all(key) else "expected key=value, such as train.n_epochs=5"
    values = document.values
    for depth, part in enumerate(key):
        if values is None or message:
            break
        if not isinstance(values, dict):
            message = f"'{dotted(key[:depth])}' is a value, not a section"
        else:
            values = values.get(part)
    if message:
        return merge(document, Document({}, {}, [Problem(place, "", message)]))
    given = read_yaml(text, place, key)
    for part in reversed(key):
        given.values = {part: given.values}
    return merge(document, given)


def check_document(document: Document, source: Path) -> RunConfig:
    """Make the configuration that a document holds; paths and defaults are filled in there, too.

    Raises
    ------
    cherenkov_mlops.errors.ConfigError
        With all mistakes, one line each, sorted by place.
    """
    config = None
    if document.values is not None:
        settle_tasks(document)
        run = document.values.get("run")
        if isinstance(run, dict) and "dir" not in run:
            # A path of the uppermost file, as if it stood there.
            run["dir"] = str(default_at(RunConfig, ("run", "dir")))
            document.places["run", "dir"] = document.places[()]
        resolve_paths(document)
        config = _validate(document)
    if config is None or document.problems:
        raise ConfigError(sorted_lines(document.problems))
    places = {dotted(key): str(place) for key, place in document.places.items()}
    return config.with_places(source, places)


def sorted_lines(problems: Sequence[Problem]) -> list[str]:
    """Write one line a mistake, by place."""
    return [str(problem) for problem in sorted(problems, key=lambda problem: problem.place)]


def open_run(path: Path, overrides: Sequence[str] = ()) -> tuple[RunConfig, RunDir]:
    """Open the configuration and run folder of a YAML file, or of an existing run folder.

    A run folder is the folder of its run wherever it was moved to.

    Raises
    ------
    cherenkov_mlops.errors.UserError
        The folder is not that of a run, or the configuration has mistakes.
    """
    if not path.is_dir():
        config = load_config(path, overrides)
        return config, RunDir(config.run_path)
    run_dir = RunDir(path.resolve())
    if not run_dir.resolved_config.is_file():
        raise UserError(
            f"{path}: expected a YAML file or a run folder, got a folder without "
            f"{run_dir.resolved_config.name}"
        )
    return load_config(run_dir.resolved_config, overrides), run_dir


def _validate(document: Document) -> RunConfig | None:
    """Make the configuration, or None; its mistakes are added to those of the document."""
    config, wrong = None, []
    try:
        config = RunConfig.model_validate(document.values)
    except ValidationError as error:
        wrong = list(explain_errors(error, RunConfig))

    def ask(name: str) -> Any:
        key = split_key(name)
        if any(key[: len(bad)] == bad[: len(key)] for bad, _ in wrong):
            raise NotKnown(name)
        return value_at(document.values, key, default_at(RunConfig, key))

    together = [(split_key(key), message) for key, message in check_together(ask)]
    # A value that could not even be read is null by now: one line about it is enough.
    told = {problem.key for problem in document.problems}
    for key, message in [*wrong, *together]:
        # Named as the user wrote it: a single task may stand without a list.
        is_short = key[:1] == ("tasks",) and ("task",) in document.places
        name = "task" if is_short else dotted(key)
        if name not in told:
            document.problems.append(Problem(place_of(document, key), name, message))
    return config
