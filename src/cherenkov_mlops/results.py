"""Results of one run: what ``metrics.json`` holds, how it is written, read and mended.

Results travel: a file may come from an older version, or by way of an editor. What is missing in
it or not what it should be is taken out when it is read, and remembered as a `Gap`, so that a page
says at the place of a gap what was lost, and draws nothing wrong in its stead.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cherenkov_mlops.errors import UserError
from cherenkov_mlops.run_dir import write_json_atomically
from cherenkov_mlops.tasks import TASKS

SCHEMA_VERSION = 2

#: Levels of a `Finding`, from the worst to the mildest.
LEVELS = ("failure", "warning", "hint")
#: Figures of the training in version 1, which kept all figures in one table.
_TRAINING_FIGURES_1 = (
    "loss",
    "learning_rate",
    "sparsity",
    "logged_metrics",
    "logged_quantities",
)
#: Sections of a task that hold arrays.
_ARRAYS = ("replicates", "figures")
_MAX_SHOWN_VALUE = 40

type Pair = Annotated[list[float], Field(min_length=2, max_length=2)]


@dataclass(frozen=True)
class Gap:
    """One value of the results that is not as it should be.

    Parameters
    ----------
    path : tuple of str
        Keys that lead to it in ``metrics.json``.
    text : str
        What was expected, and what came.
    """

    path: tuple[str, ...]
    text: str

    @property
    def place(self) -> str:
        """The path as a dotted key."""
        return ".".join(self.path)

    def __str__(self) -> str:
        return f"{self.place} {self.text}"


@dataclass(frozen=True)
class Finding:
    """One thing that is odd about files, training or results.

    Parameters
    ----------
    level : {"failure", "warning", "hint"}
        A failure makes all results doubtful.
    check : str
        Which check found it.
    text : str
        What was found, and what to make of it.
    """

    # A table in a file becomes one, too.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=False)

    level: Literal["failure", "warning", "hint"]
    check: str
    text: str

    def as_dict(self) -> dict[str, str]:
        """Plain types, for JSON."""
        return asdict(self)


class Part(BaseModel):
    """Section of the results; a field whose default is None is part of every complete file."""

    model_config = ConfigDict(strict=True, extra="allow", protected_namespaces=())


class RunInfo(Part):
    """Which run it is; ``created`` in ISO 8601."""

    name: str
    tasks: list[str]
    created: str
    classes: dict[str, str]
    mode: str | None = None
    seed: int | None = None
    title: str | None = ""


class Counts(Part):
    """Numbers of events of each class."""

    signal: int | None = None
    background: int = 0

    @property
    def total(self) -> int:
        """Events of both classes."""
        return (self.signal or 0) + self.background


class Cut(Counts):
    """Numbers of events that are left after a cut."""

    cut: str | None = None


class Production(Part):
    """Settings of a simulation."""

    spectral_index: float | None = None
    energy_min_tev: float | None = None
    energy_max_tev: float | None = None
    viewcone_deg: Pair | None = None
    scatter_radius_m: float | None = None
    n_thrown: int | None = None


class SimulatedClass(Part):
    """What was simulated for one class of events."""

    label: str | None = None
    name: str | None = None
    has_showers: bool | None = None
    productions: list[Production] | None = None
    pointings: list[Pair] | None = None
    particles: dict[str, int] | None = None
    n_files: int | None = None
    n_showers: int | None = None


class Data(Part):
    """Events that the run was trained on, and where they come from."""

    train: Counts | None = None
    validation: Counts | None = None
    cuts: list[Cut] | None = None
    energy: dict[str, list[int]] | None = None
    energy_edges_tev: list[float] | None = None
    overlap: list[str] | None = None
    files: dict[str, Any] | None = None
    # Results of older versions do not have them.
    simulation: list[SimulatedClass] = []
    findings: list[Finding] = []


class Evaluation(Part):
    """Settings that values depend on, from ``EvaluationSettings.dump``."""

    threshold: float | None = None
    signal_efficiency: float | None = None
    energy_edges_tev: list[float] | None = None
    n_bootstrap: int | None = None
    seed: int | None = None
    classes: dict[str, str] | None = None
    definitions_version: int | None = None


class Measured(Part):
    """Value of a metric with its 68 % interval and number of events; NaN is None in the file."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None


class Fact(Part):
    """Value of a metric that comes from no events."""

    value: float | None = math.nan


class Predictions(Part):
    """What the predictions look like as a whole (``data.predictions.describe_predictions``)."""

    n: int | None = None
    n_distinct: int | None = None
    n_most_common: int | None = None
    n_below: int = 0
    n_above: int = 0
    trained_tev: list[float] = []


class Camera(Part):
    """Pixels of a camera: positions [m], area [m2], shape, angle of the first corner."""

    x: list[float] | None = None
    y: list[float] | None = None
    area: float | None = None
    shape: str | None = None
    rotation_deg: float | None = None


class Example(Part):
    """Image of one event with truth and prediction."""

    kind: str | None = None
    signal: bool | None = None
    obs_id: int | None = None
    event_id: int | None = None
    tel_id: int | None = None
    camera: str | None = None
    error: float | None = None
    values: dict[str, float] | None = None
    image: list[float] | None = None


class Examples(Part):
    """Images of some events (``data.examples.read_example_images``)."""

    cameras: dict[str, Camera] | None = None
    events: list[Example] | None = None


class TaskResults(Part):
    """Results of one task of the run.

    Parameters
    ----------
    source : str
        Name of the run whose model predicted it, if it is another one.
    test : Counts
        Events evaluated.
    n_invalid : int
        Rows without prediction, which were left out.
    test_digest : str
        Digest of which events were evaluated.
    metrics : dict of str to Measured
        By name.
    replicates : dict of str to list of float
        Name -> bootstrap values.
    figures : dict of str to dict
        Name -> arrays by name.
    predictions : Predictions
        All of them as a whole.
    examples : Examples
        Images of some events.
    """

    source: str = ""
    test: Counts | None = None
    n_invalid: int | None = None
    test_digest: str | None = None
    metrics: dict[str, Measured] = {}
    replicates: dict[str, list[float]] = {}
    figures: dict[str, Any] = {}
    predictions: Predictions | None = None
    examples: Examples | None = None

    def value(self, name: str) -> float:
        """Value of a metric, NaN if there is none."""
        stored = self.metrics.get(name)
        return math.nan if stored is None or stored.value is None else float(stored.value)


class History(Part):
    """Columns of ``history.csv``; NaN is no gap: a training that diverges has such epochs."""

    __pydantic_extra__: dict[str, list[float]] = Field(init=False)
    epoch: list[int] | None = None
    loss: list[float] | None = None


class Training(Part):
    """Course of the training; ``attempts`` are the first epochs of each of its attempts."""

    history: History | None = None
    best_epoch: int | None = None
    attempts: list[int] | None = None


class ModelInfo(Part):
    """Name and layers of the model."""

    name: str | None = None
    summary: str | None = None


class Provenance(Part):
    """Versions, machine, and the attempts of each stage."""

    machine: dict[str, Any] | None = None
    versions: dict[str, str] | None = None
    stages: dict[str, Any] | None = None


class Results(BaseModel):
    """All that a report or a comparison needs.

    Parameters
    ----------
    run : RunInfo
        Which run.
    config : dict
        Resolved configuration.
    config_changes : dict of str to list
        Dotted key -> [default, value] where the value is not the default.
    data, evaluation, training, model, provenance : Part
        What their classes say.
    facts : dict
        Numbers and texts about the run and the model; None where nothing was recorded.
    metrics : dict of str to Fact
        Metrics of every run, such as costs.
    figures : dict of str to dict
        Figures of every run, such as the course of the training: name -> arrays by name.
    tasks : dict of str to TaskResults
        Results of each task, in the order of ``run.tasks``.
    gaps : list of Gap
        What was lost in the file that they were read from.

    Examples
    --------
    >>> results = read_results(Path("runs/first/metrics.json"))  # doctest: +SKIP
    >>> results.tasks["energy"].metrics["energy_resolution_68"].value  # doctest: +SKIP
    """

    model_config = ConfigDict(strict=True, protected_namespaces=())

    run: RunInfo
    config: dict[str, Any] = {}
    config_changes: dict[str, Annotated[list[Any], Field(min_length=2, max_length=2)]] = {}
    data: Data = Data()
    evaluation: Evaluation = Evaluation()
    facts: dict[str, Any] = {}
    metrics: dict[str, Fact] = {}
    figures: dict[str, Any] = {}
    tasks: dict[str, TaskResults] = {}
    training: Training = Training()
    model: ModelInfo = ModelInfo()
    provenance: Provenance = Provenance()
    schema_version: int = SCHEMA_VERSION
    gaps: list[Gap] = Field(default=[], exclude=True)

    def task_of_metric(self, name: str) -> TaskResults | None:
        """The first task that has a metric of this name."""
        return next((task for task in self.tasks.values() if name in task.metrics), None)

    def stored(self, name: str) -> Measured | Fact | None:
        """A metric by name, of the first task that has it or of the run; None without one."""
        task = self.task_of_metric(name)
        return self.metrics.get(name) if task is None else task.metrics[name]


def plain_values(content: Any) -> Any:
    """Give the content in JSON's own types: arrays as lists, NaN and infinities as None."""
    if isinstance(content, Mapping):
        return {str(key): plain_values(value) for key, value in content.items()}
    if isinstance(content, np.ndarray | np.generic):
        return plain_values(content.tolist())
    if isinstance(content, list | tuple | set):
        return [plain_values(value) for value in content]
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if content is None or isinstance(content, bool | int | str):
        return content
    return str(content)


def results_to_json(results: Results) -> dict[str, Any]:
    """Give the results in JSON's own types, ready for ``json.dumps``."""
    return plain_values(results.model_dump())


def write_results(results: Results, path: Path) -> Path:
    """Write the results as JSON, whole or not at all; the path."""
    return write_json_atomically(path, results_to_json(results))


def read_results(path: Path) -> Results:
    """Read the results in a ``metrics.json``, of this version or an older one.

    Raises
    ------
    UserError
        If the file is missing, is not JSON, or lacks what a page cannot do without.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: expected the results of a test, found no such file; "
            "run 'cherenkov-mlops test' on its configuration first"
        )
    return results_from_json(path.read_text(encoding="utf-8"), str(path))


def results_from_json(text: str, source: str) -> Results:
    """Read results from the text of a ``metrics.json``; ``source`` names it in errors."""
    try:
        # Written by other hands, JSON may hold NaN and infinities: here they are null.
        content = json.loads(text, parse_constant=lambda _: None)
    except json.JSONDecodeError as error:
        raise UserError(f"{source}:{error.lineno}: expected JSON, {error.msg}") from error
    if not isinstance(content, dict) or not isinstance(content.get("run"), dict):
        raise UserError(f"{source}: expected results with a section 'run'; write them with 'test'")
    version = content.get("schema_version")
    if version not in (1, SCHEMA_VERSION):
        raise UserError(
            f"{source}: expected schema_version {SCHEMA_VERSION}, got {version!r}; "
            "run 'cherenkov-mlops test --force' to write it again"
        )
    if version == 1:
        _refuse_sections_that_are_none(content, "", ("metrics", "replicates", "figures"), source)
        content = _wrap_version_1(content)
    _refuse_what_no_page_can_do_without(content, source)

    # Null stands for NaN where arrays of numbers are expected.
    arrays = [(task, name) for task in content["tasks"].values() for name in _ARRAYS]
    arrays += [(content, "figures"), (content.get("training", {}), "history")]
    for section, name in arrays:
        if isinstance(section.get(name), dict):
            section[name] = _null_to_nan(section[name])

    results, gaps = _validate(content)
    wrong = [gap.path for gap in gaps]
    gaps += [
        gap
        for gap in _find_absent(results)
        # What was taken out is said already, and so is the section that was nothing else.
        if not any(path[: len(gap.path)] == gap.path for path in wrong)
    ]
    if not results.config:
        gaps.append(Gap(("config",), "is missing"))
    results.gaps = gaps
    return results


def _wrap_version_1(content: dict[str, Any]) -> dict[str, Any]:
    """Give results of one task the form of results of several."""
    run, data = dict(content["run"]), dict(content.get("data") or {})
    name = run.pop("task", None)
    metrics, figures = content.get("metrics", {}), content.get("figures", {})
    replicates = content.get("replicates", {})
    # Those of the task were made from events.
    of_task = {
        key
        for key, entry in metrics.items()
        if key in replicates or not isinstance(entry, dict) or entry.get("n") is not None
    }
    moved = ("test", "n_invalid", "test_digest", "predictions")
    task = {key: data.pop(key) for key in moved if key in data} | {
        "metrics": {key: entry for key, entry in metrics.items() if key in of_task},
        "replicates": replicates,
        "figures": {k: arrays for k, arrays in figures.items() if k not in _TRAINING_FIGURES_1},
    }
    if content.get("examples"):
        task["examples"] = content["examples"]
    return content | {
        "run": run | {"tasks": [name]},
        "data": data if isinstance(content.get("data", {}), dict) else content["data"],
        "metrics": {key: entry for key, entry in metrics.items() if key not in of_task},
        "figures": {key: arrays for key, arrays in figures.items() if key in _TRAINING_FIGURES_1},
        "tasks": {name: task},
        "schema_version": SCHEMA_VERSION,
    }


def _refuse_what_no_page_can_do_without(content: dict[str, Any], source: str) -> None:
    """Raise UserError in one line if sections are no tables, or the run is not described."""
    run, names = content["run"], content["run"].get("tasks")
    known = isinstance(names, list) and bool(names) and all(name in TASKS for name in names)
    accepted = {
        "name": isinstance(run.get("name"), str),
        "tasks": known,
        "created": _is_time(run.get("created")),
        "classes": isinstance(run.get("classes"), dict)
        and all(isinstance(name, str) for name in run["classes"].values()),
    }
    found = [
        f"run.{key} {run[key]!r}" if key in run and run[key] != [None] else f"no run.{key}"
        for key, is_good in accepted.items()
        if not is_good
    ]
    if found:
        raise UserError(f"{source}: expected complete results, got {', '.join(found)}")
    sections = [
        name
        for name, field in Results.model_fields.items()
        if name not in ("schema_version", "gaps", "run")
    ]
    _refuse_sections_that_are_none(content, "", sections, source)
    tasks = {name: content.get("tasks", {}).get(name, {}) for name in names}
    _refuse_sections_that_are_none(tasks, "tasks.", names, source)
    for name, task in tasks.items():
        keys = ("metrics", "replicates", "figures")
        _refuse_sections_that_are_none(task, f"tasks.{name}.", keys, source)
    content["tasks"] = tasks


def _refuse_sections_that_are_none(
    content: dict[str, Any], prefix: str, names: Iterable[str], source: str
) -> None:
    wrong = [
        f"'{prefix}{name}' not a table"
        for name in names
        if not isinstance(content.get(name, {}), dict)
    ]
    if wrong:
        raise UserError(f"{source}: expected complete results, got {', '.join(wrong)}")


def _is_time(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


def _null_to_nan(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _null_to_nan(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_null_to_nan(value) for value in content]
    return math.nan if content is None else content


def _validate(content: dict[str, Any]) -> tuple[Results, list[Gap]]:
    """Make results of what is of the right type; all else is taken out of ``content``."""
    gaps: list[Gap] = []
    while True:
        try:
            return Results.model_validate(content), gaps
        except ValidationError as error:
            found: dict[tuple[str, ...], Gap] = {}
            for problem in error.errors(include_url=False):
                # Of a list with one wrong value, nothing can be trusted.
                keys = takewhile(lambda key: not isinstance(key, int), problem["loc"])
                path = tuple(map(str, keys))
                expected = problem["msg"].removeprefix("Input should be ")
                if path[0] == "config_changes":
                    expected = "default and value"
                text = f"expected {expected}, got {_shorten(problem['input'])}"
                found.setdefault(path, Gap(path, text))
            for path in found:
                place = content
                for key in path[:-1]:
                    place = place[key]
                del place[path[-1]]
            gaps += found.values()


def _shorten(value: Any) -> str:
    if value is None or value != value:
        return "nothing"
    text = " ".join(str(value).split())
    return text if len(text) <= _MAX_SHOWN_VALUE else text[:_MAX_SHOWN_VALUE] + "…"


def _find_absent(part: BaseModel, path: tuple[str, ...] = ()) -> Iterator[Gap]:
    """Find expected fields without a value; lists with incomplete entries are taken out."""
    expected = [name for name, field in type(part).model_fields.items() if field.default is None]
    if expected and path and not part.model_fields_set:
        yield Gap(path, "is missing")
        return
    for name, field in type(part).model_fields.items():
        value, place = getattr(part, name), (*path, name)
        if value is None and name in expected:
            yield Gap(place, "is missing")
        elif isinstance(value, BaseModel):
            yield from _find_absent(value, place)
        elif isinstance(value, dict):
            for key, entry in value.items():
                if isinstance(entry, BaseModel):
                    yield from _find_absent(entry, (*place, key))
        elif isinstance(value, list):
            parts = (entry for entry in value if isinstance(entry, BaseModel))
            hole = next((gap for entry in parts for gap in _find_absent(entry, ("",))), None)
            if hole is not None:
                setattr(part, name, field.get_default(call_default_factory=True))
                what = hole.place.lstrip(".") or "values"
                yield Gap(place, f"expected complete entries, got one without {what}")
