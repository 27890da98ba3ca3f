"""Quality gates: bounds on metrics that a run must keep, for pipelines that stop if it does not."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cherenkov_mlops.errors import QualityError, UserError
from cherenkov_mlops.metrics import METRICS, metrics_of
from cherenkov_mlops.metrics.base import GENERIC
from cherenkov_mlops.registry import did_you_mean
from cherenkov_mlops.results import Results
from cherenkov_mlops.tasks import TASKS


@dataclass(frozen=True)
class Gate:
    """One bound on one metric.

    Parameters
    ----------
    name : str
        Name of the metric.
    side : {"under", "over"}
        The run fails if the value is under, or over, the bound.
    bound : float
        In the unit of the metric; the bound itself passes.
    """

    name: str
    side: Literal["under", "over"]
    bound: float

    def is_passed(self, value: float) -> bool:
        """Whether the value keeps the bound; one that is not known does not."""
        # Comparisons with NaN are false: what is not known does not pass.
        return value >= self.bound if self.side == "under" else value <= self.bound


def parse_gates(fail_under: Sequence[str], fail_over: Sequence[str]) -> list[Gate]:
    """Gates from ``NAME=BOUND`` as given on the command line.

    Raises
    ------
    UserError
        For a metric that does not exist, or a bound that is not a number.
    """
    return [
        *(_parse_gate("under", text) for text in fail_under),
        *(_parse_gate("over", text) for text in fail_over),
    ]


def _parse_gate(side: Literal["under", "over"], text: str) -> Gate:
    option = f"--fail-{side} {text}"
    name, equals, bound = (part.strip() for part in text.partition("="))
    if not equals:
        raise UserError(f"{option}: expected NAME=BOUND, as --fail-{side} auc=0.9")
    if name not in METRICS:
        raise UserError(f"{option}: unknown metric '{name}'; {did_you_mean(name, METRICS)}")
    # "nan" and "inf" are numbers to Python, but bounds that nothing or everything passes.
    try:
        number = float(bound)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{option}: expected a number after '=', got '{bound}'; write 0.9")
    return Gate(name, side, number)


def check_gates_fit(gates: Sequence[Gate], tasks: Sequence[str]) -> None:
    """Raise UserError with the first gate whose metric belongs to none of these tasks.

    Cheap, so that it is done before the work starts.
    """
    kinds = [TASKS[task].kind for task in tasks]
    known = [name for kind in [*kinds, GENERIC] for name in metrics_of(kind)]
    for gate in gates:
        if gate.name not in known:
            raise UserError(
                f"--fail-{gate.side} {gate.name}={gate.bound:g}: a run of task "
                f"'{', '.join(tasks)}' has no "
                f"such metric; {did_you_mean(gate.name, known)}"
            )


def check_gates(results: Results, gates: Sequence[Gate]) -> None:
    """Raise QualityError with each failed gate, its value, interval and bound.

    Raises
    ------
    UserError
        A metric belongs to another task.
    QualityError
        A gate is failed.
    """
    check_gates_fit(gates, list(results.tasks))
    failed = [gate for gate in gates if not gate.is_passed(_value(results, gate))]
    if failed:
        texts = "; ".join(_describe_failure(results, gate) for gate in failed)
        raise QualityError(f"{results.run.name}: quality gate not passed: {texts}")


def _value(results: Results, gate: Gate) -> float:
    stored = results.stored(gate.name)
    return math.nan if stored is None or stored.value is None else float(stored.value)


def _describe_failure(results: Results, gate: Gate) -> str:
    stored, value = results.stored(gate.name), _value(results, gate)
    unit = METRICS[gate.name].unit
    bound = f"{gate.side} {gate.bound:g}{f' {unit}' if unit else ''}"
    if math.isnan(value):
        return f"{gate.name} has no value, must not be {bound}"
    ends = [getattr(stored, key, None) for key in ("low", "high")]
    if any(end is None or math.isnan(end) for end in ends):
        return f"{gate.name} = {value:.4g}, {bound}"
    return f"{gate.name} = {value:.4g} (68 %: {ends[0]:.4g} to {ends[1]:.4g}), {bound}"
