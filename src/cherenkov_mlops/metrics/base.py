"""The registry of metrics, and their evaluation with bootstrap intervals."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn import config_context

from cherenkov_mlops.metrics.binning import energy_edges_tev
from cherenkov_mlops.metrics.bootstrap import bootstrap_replicates, interval_68
from cherenkov_mlops.metrics.events import extract_events
from cherenkov_mlops.metrics.table import n_rows
from cherenkov_mlops.registry import Registry

if TYPE_CHECKING:
    from cherenkov_mlops.config.schema import RunConfig

#: Number of the set of definitions; raised when a metric changes its meaning, so that values of
#: different meaning are never compared.
DEFINITIONS_VERSION = 2

#: Kind of the metrics and figures that every run has, whatever its tasks.
GENERIC = "generic"

_SECTION = re.compile(r"^(Formula|Source): ", flags=re.MULTILINE)


@dataclass(frozen=True)
class EvaluationSettings:
    """What the values of metrics and figures depend on, apart from the events.

    Parameters
    ----------
    threshold : float
        Events with a ``gh_score`` of at least this count as signal.
    signal_efficiency : float
        Share of signal events to keep where a cut is made at a fixed efficiency.
    energy_edges_tev : tuple of float
        Edges of the bins of true energy [TeV].
    n_bootstrap : int
        Number of bootstrap replicates.
    seed : int
        Seed of the bootstrap.
    classes : dict of str to str
        Names of ``signal`` and ``background`` on pages.
    """

    threshold: float = 0.5
    signal_efficiency: float = 0.7
    energy_edges_tev: tuple[float, ...] = energy_edges_tev(0.01, 1000)
    n_bootstrap: int = 200
    seed: int = 0
    classes: dict[str, str] = field(
        # Left out of the hash: a dictionary has none.
        default_factory=lambda: {"signal": "gamma", "background": "proton"},
        hash=False,
    )

    @classmethod
    def from_config(cls, config: "RunConfig") -> "EvaluationSettings":
        """Take the settings that a run's configuration asks for.

        The seed stays the same for all runs, whatever ``run.seed``: only then are the replicates
        of two runs pairs.
        """
        test = config.test
        return cls(
            threshold=test.threshold,
            signal_efficiency=test.signal_efficiency,
            energy_edges_tev=energy_edges_tev(
                test.energy_min_tev, test.energy_max_tev, test.bins_per_decade
            ),
            n_bootstrap=test.n_bootstrap,
            classes=dict(config.data.classes),
        )

    def dump(self) -> dict[str, Any]:
        """Plain values for `Results.evaluation`, with the version of the definitions."""
        plain = asdict(self) | {"energy_edges_tev": list(self.energy_edges_tev)}
        return plain | {"definitions_version": DEFINITIONS_VERSION}


@dataclass(frozen=True)
class Metric:
    """One number with its meaning.

    Parameters
    ----------
    name : str
        Key in ``metrics.json``.
    function : callable
        ``function(events)`` or ``function(events, settings)``.
    kind : str
        That of the tasks it is for, or ``generic`` for numbers that come from `facts`.
    symbol : str
        Table head, may be mathematical text of Matplotlib.
    unit : str
        Unit of the value, empty if it has none.
    better : str
        Which values are better: ``higher``, ``lower``, ``zero`` (nearer to it), or ``none``.
    key : bool
        Whether the value stands at the top of a report.
    studied : bool
        Whether a compression study shows it, as it does all key metrics.
    fails_below : float or None
        Values below this call for a warning, whose text is ``failure``.
    """

    name: str
    function: Callable[..., float]
    kind: str
    symbol: str
    unit: str
    better: Literal["higher", "lower", "zero", "none"]
    key: bool = False
    studied: bool = False
    fails_below: float | None = None
    failure: str = ""

    @property
    def text(self) -> str:
        """First line of the docstring: what the number is."""
        return self.doc.splitlines()[0]

    @property
    def doc(self) -> str:
        """The docstring without formula and source."""
        return self._sections[""]

    @property
    def formula(self) -> str:
        """What stands after ``Formula:`` in the docstring, empty if there is none."""
        return self._sections.get("Formula", "")

    @property
    def source(self) -> str:
        """What stands after ``Source:`` in the docstring, empty if there is none."""
        return self._sections.get("Source", "")

    @property
    def _sections(self) -> dict[str, str]:
        text, *rest = _SECTION.split(inspect.getdoc(self.function) or "")
        bodies = (" ".join(body.split()) for body in rest[1::2])
        return {"": text.strip()} | dict(zip(rest[::2], bodies, strict=True))

    def evaluate(self, events: Mapping, settings: EvaluationSettings) -> float:
        """Compute the value, NaN without events."""
        if self.kind != GENERIC and not n_rows(events):
            return float("nan")
        return float(call_with_settings(self.function, events, settings))

    def badness(self, values: np.ndarray | float) -> np.ndarray:
        """Number that is smaller the better the value is; infinite for NaN.

        Raises ``ValueError`` for a metric that says nothing about better and worse.
        """
        values = np.asarray(values, dtype=float)
        match self.better:
            case "higher":
                bad = -values
            case "lower":
                bad = values
            case "zero":
                bad = np.abs(values)
            case _:
                raise ValueError(f"metric '{self.name}' cannot be ranked")
        return np.where(np.isnan(bad), np.inf, bad)


METRICS: Registry[Metric] = Registry("metric")


def metric(
    *, kind: str, symbol: str, unit: str, better: str, **options: Any
) -> Callable[[Callable], Callable]:
    """Register the decorated function in `METRICS` under its own name.

    Parameters are those of `Metric`.
    """

    def register(function: Callable[..., float]) -> Callable[..., float]:
        name = function.__name__
        METRICS.add(name, Metric(name, function, kind, symbol, unit, better, **options))
        return function

    return register


def metrics_of(kind: str) -> dict[str, Metric]:
    """Metrics of one kind (that of a task, or ``generic``), by name."""
    return METRICS.select(lambda entry: entry.kind == kind)


def call_with_settings(function: Callable, events: Mapping, settings: EvaluationSettings) -> Any:
    """Call ``function(events)`` or ``function(events, settings)``, as its signature asks for."""
    return function(events, settings) if _takes_settings(function) else function(events)


@cache
def _takes_settings(function: Callable) -> bool:
    return len(inspect.signature(function).parameters) > 1


def evaluate_metrics(
    events: Mapping, kind: str, settings: EvaluationSettings
) -> tuple[dict[str, dict[str, float | int | None]], dict[str, list[float]]]:
    """Compute value, 68 % bootstrap interval and number of events of each metric.

    Parameters
    ----------
    events : pandas.DataFrame or mapping of str to array
        Event table; for ``generic`` the dictionary of facts about a run.
    kind : str
        That of a task, or ``generic``.

    Returns
    -------
    values : dict of str to dict
        Name -> ``value``, ``low``, ``high``, ``n``; interval and number are None for ``generic``.
    replicates : dict of str to list of float
        Name -> value of each replicate; pairs across runs with the same seed and events.
    """
    # Facts have no events to draw from, hence no interval.
    if kind == GENERIC:
        unknown = {"low": None, "high": None, "n": None}
        return {
            name: {"value": entry.evaluate(events, settings)} | unknown
            for name, entry in metrics_of(kind).items()
        }, {}
    rows = extract_events(events, kind)
    statistics = {
        name: partial(entry.evaluate, settings=settings) for name, entry in metrics_of(kind).items()
    }
    # The columns were checked when they were extracted: not again in each of many thousand calls.
    with config_context(assume_finite=True, skip_parameter_validation=True):
        replicates = bootstrap_replicates(rows, statistics, settings.n_bootstrap, settings.seed)
        values: dict[str, dict[str, float | int | None]] = {}
        for name, statistic in statistics.items():
            value = statistic(rows)
            low, high = interval_68(replicates[name], value)
            values[name] = {"value": value, "low": low, "high": high, "n": n_rows(rows)}
    # Six significant digits: far finer than the spread, in a third of the space.
    return values, {
        name: [float(f"{value:.6g}") for value in column] for name, column in replicates.items()
    }
