"""What is missing, mistyped or not a number in the results of a run, and where.

Results are read from files that travel: each value that a page shows is checked, so that a page
says at the place of a loss what was lost, and draws nothing wrong in its stead.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from itertools import takewhile
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, create_model

from cherenkov_mlops.errors import UserError
from cherenkov_mlops.metrics import metrics_of
from cherenkov_mlops.metrics.cost import MEASURED_ON_REQUEST
from cherenkov_mlops.results import Results
from cherenkov_mlops.tasks import TASKS

_MAX_NAMED = 3
_MAX_SHOWN_VALUE = 40


@dataclass(frozen=True)
class Loss:
    """One value that is not as it should be.

    Parameters
    ----------
    path : tuple of str
        Keys that lead to it in ``metrics.json``, the section first.
    text : str
        What was expected, and what came.
    """

    path: tuple[str, ...]
    text: str

    @property
    def section(self) -> str:
        """Section of the results."""
        return self.path[0]

    @property
    def place(self) -> str:
        """The path as a dotted key."""
        return ".".join(self.path)

    def __str__(self) -> str:
        return f"{self.place} {self.text}"


_Pair = Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", protected_namespaces=())


class _Run(_Table):
    mode: str
    seed: int
    title: str | None


class _Counts(_Table):
    signal: int
    background: int = 0


class _Cut(_Counts):
    cut: str


class _Predictions(_Table):
    n: int
    n_distinct: int
    n_most_common: int
    n_below: int = 0
    n_above: int = 0
    trained_tev: tuple[FiniteFloat, FiniteFloat] = Field(default=(0.0, 0.0), strict=False)


class _Production(_Table):
    spectral_index: FiniteFloat
    energy_min_tev: FiniteFloat
    energy_max_tev: FiniteFloat
    viewcone_deg: _Pair
    scatter_radius_m: FiniteFloat
    n_thrown: int


class _SimulatedClass(_Table):
    label: str
    name: str
    has_showers: bool
    productions: list[_Production]
    pointings: list[_Pair]
    particles: dict[str, int]
    n_files: int
    n_showers: int


class _Finding(_Table):
    level: Literal["failure", "warning", "hint"]
    check: str
    text: str


class _Data(_Table):
    train: _Counts
    validation: _Counts
    test: _Counts
    cuts: list[_Cut]
    energy: dict[str, list[int]]
    energy_edges_tev: list[FiniteFloat]
    predictions: _Predictions
    n_invalid: int
    test_digest: str
    overlap: list[str]
    files: dict[str, Any]
    # Results of older versions do not have them.
    simulation: list[_SimulatedClass] = []
    findings: list[_Finding] = []


class _Evaluation(_Table):
    threshold: FiniteFloat
    signal_efficiency: FiniteFloat
    energy_edges_tev: list[FiniteFloat]
    n_bootstrap: int
    seed: int
    classes: dict[str, str]
    definitions_version: int


class _History(_Table):
    # NaN is no loss here: a training that diverges has such epochs.
    __pydantic_extra__: dict[str, list[float]] = Field(init=False)
    epoch: list[float]
    loss: list[float]


class _Training(_Table):
    history: _History
    best_epoch: int
    attempts: list[int]


class _Model(_Table):
    name: str
    summary: str


class _Provenance(_Table):
    machine: dict[str, Any]
    versions: dict[str, str]
    stages: dict[str, Any]


class _Camera(_Table):
    x: list[FiniteFloat]
    y: list[FiniteFloat]
    area: FiniteFloat
    shape: str
    rotation_deg: FiniteFloat


class _Example(_Table):
    kind: str
    signal: bool
    obs_id: int
    event_id: int
    tel_id: int
    camera: str
    error: FiniteFloat
    values: dict[str, float]
    image: list[FiniteFloat]


class _Examples(_Table):
    cameras: dict[str, _Camera]
    events: list[_Example]


class _Measured(_Table):
    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    n: int


class _Fact(_Table):
    value: FiniteFloat


_SECTIONS = {
    "run": _Run,
    "data": _Data,
    "evaluation": _Evaluation,
    "training": _Training,
    "model": _Model,
    "provenance": _Provenance,
    "examples": _Examples,
}


def find_losses(run: Results) -> list[Loss]:
    """All that is lost of the results, figures apart; a section without content is one loss."""
    models = _SECTIONS | _registry_sections(TASKS[run.run["task"]].kind)
    losses = []
    for section, model in models.items():
        content = getattr(run, section)
        losses += _check(section, model, content) if content else [Loss((section,), "is missing")]
    if not run.config:
        losses.append(Loss(("config",), "is missing"))
    return losses + _odd_changes(run)


def without(run: Results, losses: Sequence[Loss]) -> Results:
    """A copy of the results that has no value at the places of the losses."""
    sections = {loss.section: deepcopy(getattr(run, loss.section)) for loss in losses}
    for loss in losses:
        content: Any = sections
        for key in loss.path[:-1]:
            content = content.get(key, {})
        if len(loss.path) > 1:
            content.pop(loss.path[-1], None)
    return replace(run, **sections)


def refuse_losses(losses: Sequence[Loss], label: str) -> None:
    """Nothing, or ``UserError`` with one line if something is lost."""
    if not losses:
        return
    named = "; ".join(str(loss) for loss in losses[:_MAX_NAMED])
    more = f"; and {len(losses) - _MAX_NAMED} more" if len(losses) > _MAX_NAMED else ""
    raise UserError(
        f"run '{label}': expected complete results, got {named}{more}; test the run again, "
        "or leave out --strict to see what is there"
    )


@cache
def _registry_sections(kind: str) -> dict[str, type[BaseModel]]:
    """Sections whose keys are the registered metrics."""
    measured = metrics_of(kind)
    facts = [name for name in metrics_of("generic") if name not in MEASURED_ON_REQUEST]
    return {
        "metrics": _table(
            "Metrics", dict.fromkeys(measured, _Measured) | dict.fromkeys(facts, _Fact)
        ),
        "replicates": _table("Replicates", dict.fromkeys(measured, list[float])),
        "facts": _table("Facts", dict.fromkeys(facts, FiniteFloat)),
    }


def _table(name: str, types: dict[str, Any]) -> type[BaseModel]:
    return create_model(name, __base__=_Table, **{key: (kind, ...) for key, kind in types.items()})


def _check(section: str, model: type[BaseModel], content: dict[str, Any]) -> list[Loss]:
    try:
        model.model_validate(content)
    except ValidationError as error:
        losses = [_describe(section, problem) for problem in error.errors(include_url=False)]
        return list({loss.path: loss for loss in reversed(losses)}.values())[::-1]
    return []


def _describe(section: str, problem: Any) -> Loss:
    keys = [str(key) for key in _until_list(problem["loc"])]
    if problem["type"] == "missing" and len(keys) == len(problem["loc"]):
        return Loss((section, *keys), "is missing")
    expected = problem["msg"].removeprefix("Input should be ").replace("Field required", "all keys")
    return Loss((section, *keys), f"expected {expected}, got {_shorten(problem['input'])}")


def _until_list(location: Sequence[str | int]) -> Iterator[str | int]:
    """Keys up to the first list: of a list with one wrong value, nothing can be trusted."""
    return takewhile(lambda key: not isinstance(key, int), location)


def _shorten(value: Any) -> str:
    if value is None or value != value:
        return "nothing"
    text = " ".join(str(value).split())
    return text if len(text) <= _MAX_SHOWN_VALUE else text[:_MAX_SHOWN_VALUE] + "…"


def _odd_changes(run: Results) -> list[Loss]:
    return [
        Loss(("config_changes", key), f"expected default and value, got {_shorten(pair)}")
        for key, pair in run.config_changes.items()
        if not (isinstance(pair, list) and len(pair) == 2)
    ]
