"""Sweep files: one YAML that makes the configurations of many runs."""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from cherenkov_mlops.config.base import Expected, FilePath, Section
from cherenkov_mlops.config.files import merge, place_of, read_file, read_files, resolve_paths
from cherenkov_mlops.config.load import check_document, sorted_lines
from cherenkov_mlops.config.problems import explain_errors
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.config.train_section import Share
from cherenkov_mlops.config.yaml_text import Document, Problem, dotted
from cherenkov_mlops.errors import ConfigError
from cherenkov_mlops.sweep.points import Point, SweepProblems, make_points, overlay

_AXES = (
    "a section: option of a run, then a list of its values; or any name, then the choices by name, "
    "each with the options that it sets"
)
_WAYS = ("grid", "list", "random")
_EXAMPLE = "'grid: {train.batch_size: [32, 64]}'"


class RandomSection(Section):
    """Runs whose options are drawn."""

    n_runs: int = Field(ge=1, le=10_000, description="Number of runs.")
    seed: int = Field(0, ge=0, description="Seed of the draws.")
    guided_by: str | None = Field(
        None,
        description="Metric, such as best_val_loss: Optuna chooses later runs by the results of "
        "earlier ones; null = all are drawn beforehand.",
    )
    keys: Annotated[
        dict[str, Any],
        Expected("a section: option of a run, then a list, or {min: ..., max: ..., log: true}"),
    ] = Field(min_length=1, description="What is drawn.")


class StudySection(Section):
    """What the page about a compression study takes for granted."""

    title: str | None = Field(None, description="Title of the page.")
    baseline: dict[str, Any] = Field(
        {"pruning": None}, description="Options, and the values that baselines have."
    )
    up_to: Share = Field(
        0.9, description="Sparsity up to which the claim 'no significant loss' is tested."
    )
    tolerated_loss: float = Field(
        0.02,
        gt=0,
        lt=1,
        description="Loss that is too small to matter, as a fraction of the baseline's value.",
    )


class SweepConfig(Section):
    """Content of a sweep file."""

    name: str | None = Field(
        None,
        description="Template of the runs' names, such as {task}_{seed}; null = all that differs.",
    )
    dir: FilePath | None = Field(
        None, description="Folder of the sweep; null = sweeps/NAME_OF_THE_FILE beside the file."
    )
    base: FilePath | None = Field(None, description="YAML file of a run, to start from.")
    config: dict[str, Any] = Field({}, description="Options of all runs, over those of base.")
    grid: Annotated[dict[str, Any], Expected(_AXES)] | None = Field(
        None, description="Every combination of these values is a run."
    )
    points: list[dict[str, Any]] | None = Field(
        None, alias="list", description="Each item is a run: options and their values."
    )
    random: RandomSection | None = Field(None, description="Runs whose options are drawn.")
    report: bool = Field(True, description="Whether each run gets a page of its own.")
    study: StudySection | None = Field(
        None, description="Makes the page of a compression study, instead of comparisons."
    )


@dataclass(frozen=True)
class Sweep:
    """A sweep file with the configurations that it makes.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    options : SweepConfig
        Its content.
    runs : list of RunConfig
        One configuration a run, checked; each has a name of its own.
    """

    path: Path
    options: SweepConfig
    runs: list[RunConfig]

    @property
    def folder(self) -> Path:
        """Folder of all that the sweep makes."""
        return self.options.dir or self.path.absolute().parent / "sweeps" / self.path.stem

    @property
    def is_guided(self) -> bool:
        """Whether later runs are chosen by the results of earlier ones."""
        return self.options.random is not None and self.options.random.guided_by is not None


def load_sweep(path: Path) -> Sweep:
    """Read the sweep in ``path``, with every run checked.

    Raises
    ------
    cherenkov_mlops.errors.ConfigError
        With all mistakes of the file and of all runs, one line each.
    """
    document, options = _read(path)
    base = _read_base(path, document, options)
    try:
        points = make_points(document, options.name)
    except SweepProblems as error:
        raise ConfigError(sorted_lines(error.problems)) from error
    folder = Sweep(path, options, []).folder
    return Sweep(path, options, _check_runs(path, base, points, folder))


def make_run(sweep: Sweep, name: str, values: dict[str, Any]) -> RunConfig:
    """Make one more run of a sweep with a section ``random``, checked.

    Parameters
    ----------
    sweep : Sweep
        The sweep.
    name : str
        Name of the run.
    values : dict
        Option -> value, for the options of ``random.keys``.
    """
    # Read again for the places of the options, which the checked content has lost.
    document, options = _read(sweep.path)
    base = _read_base(sweep.path, document, options)
    overlays = [
        overlay(document, ("random", "keys", key), tuple(key.split(".")), value)
        for key, value in values.items()
    ]
    return _check_runs(sweep.path, base, [Point(name, overlays)], sweep.folder)[0]


def is_sweep(path: Path) -> bool:
    """Whether the file is a YAML that makes several runs."""
    if path.suffix.lower() not in (".yaml", ".yml") or not path.is_file():
        return False
    values = read_file(path).values
    return isinstance(values, dict) and any(way in values for way in _WAYS)


def _read(path: Path) -> tuple[Document, SweepConfig]:
    """Read the file and check its content; the runs are not looked at yet."""
    document = read_file(path)
    options = None
    if document.values is not None:
        resolve_paths(document, SweepConfig)
        try:
            options = SweepConfig.model_validate(document.values)
        except ValidationError as error:
            # A path that cannot be resolved is told already.
            told = {problem.key for problem in document.problems}
            document.problems += [
                Problem(place_of(document, key), dotted(key), message)
                for key, message in explain_errors(error, SweepConfig)
                if dotted(key) not in told
            ]
        ways = [way for way in _WAYS if document.values.get(way) is not None]
        if not ways:
            text = f"expected one of {', '.join(_WAYS)}, found none; write {_EXAMPLE}"
            document.problems.append(Problem(document.places[()], "", text))
        for way in ways[1:]:
            text = f"expected one of {', '.join(_WAYS)}, got '{ways[0]}' too; leave one out"
            document.problems.append(Problem(document.places[(way,)], way, text))
    if options is None or document.problems:
        raise ConfigError(sorted_lines(document.problems))
    return document, options


def _read_base(path: Path, document: Document, options: SweepConfig) -> Document:
    """Options of all runs: those of ``base``, and over them those of ``config``."""
    # Places go along, so that a mistake in a run is told where it stands in the sweep file.
    own = overlay(document, ("config",), (), options.config)
    own.places[()] = document.places[()]
    if options.base is None:
        return own
    if not options.base.is_file():
        problem = Problem(
            place_of(document, ("base",)), "base", f"{options.base}: no such file; write its path"
        )
        raise ConfigError([str(problem)])
    base = read_files(options.base, (path.resolve(),))
    if base.values is None or base.problems:
        raise ConfigError(sorted_lines(base.problems))
    return merge(base, own)


def _check_runs(path: Path, base: Document, points: list[Point], folder: Path) -> list[RunConfig]:
    """Make the configurations of the points; raise ``ConfigError`` with all mistakes of all."""
    runs, wrong = [], {}
    for point in points:
        document = deepcopy(base)
        for upper in point.overlays:
            document = merge(document, deepcopy(upper))
        # Name and folder are the sweep's, whatever the base says; its seed stays.
        given = document.values.get("run")
        own = {"name": point.name, "dir": str(folder / "runs")}
        document.values["run"] = {**given, **own} if isinstance(given, dict) else own
        try:
            # As a file of its own would be: all that is wrong with a run is told before any runs.
            runs.append(check_document(document, path))
        except ConfigError as error:
            for line in error.problems:
                wrong.setdefault(line, []).append(point.name)
    lines = []
    for line, names in wrong.items():
        # A mistake that all runs have is one of the file: no run is named.
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        lines.append(line if len(names) == len(points) else f"{line} (in run {names[0]}{more})")
    if lines:
        raise ConfigError(lines)
    return runs
