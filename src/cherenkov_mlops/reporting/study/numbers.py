"""What a study says: differences to the baseline with verdicts, and claims; also as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cherenkov_mlops.metrics import Metric
from cherenkov_mlops.metrics.contrasts import (
    CONFIDENCE,
    Estimate,
    Quality,
    SeedSpread,
    Verdict,
    estimate_contrast,
    estimate_mean,
    pool_seed_spread,
)
from cherenkov_mlops.reporting.study.runs import Group, Row, Series, sort_runs
from cherenkov_mlops.results import Results, plain_values

SCHEMA_VERSION = 1
#: Facts with the size of the model, and what each is called.
SIZES = {
    "model_size_mb": "Keras file",
    "model_size_zipped_mb": "Keras file, zipped",
    "model_size_packed_mb": "packed",
}

type Terms = list[tuple[float, Quality]]
"""Weights and networks of a contrast."""

type Answer = Literal["supported", "refuted", "undecided"]


@dataclass(frozen=True)
class Difference:
    """A row against the baseline, by one metric.

    Parameters
    ----------
    value : float
        Mean of the metric over the seeds.
    estimate : Estimate
        Row minus baseline, in the metric's unit; positive is better whatever the metric.
    by_seed : list of float
        The same for each seed alone.
    """

    value: float
    estimate: Estimate
    by_seed: list[float]

    @property
    def verdict(self) -> Verdict:
        """What the interval says."""
        return self.estimate.verdict


@dataclass(frozen=True)
class RowNumbers:
    """All differences of one row; the first metric decides on its verdict."""

    row: Row
    n_seeds: int
    differences: dict[str, Difference]

    @property
    def verdict(self) -> Verdict:
        """That of the metric that decides."""
        return next(iter(self.differences.values())).verdict


@dataclass(frozen=True)
class GroupNumbers:
    """A group with its spreads over seeds and its rows."""

    group: Group
    metrics: list[Metric]
    spreads: dict[str, SeedSpread]
    qualities: dict[str, dict[str, dict[int, Quality]]]
    rows: list[RowNumbers]

    def terms(self, metric: Metric, row: Row, scale: float = 1.0) -> Terms:
        """Row minus baseline, the mean over the seeds that both have."""
        cells = self.qualities[metric.name]
        return difference_terms(cells[row.name], cells[self.group.baseline.name], scale)

    def percent(self) -> float:
        """Factor from the deciding metric's unit to percent of the baseline's value."""
        value = abs(self.group.baseline.value(self.metrics[0].name))
        return 100 / value if value > 0 else float("nan")

    def relative(self, row: Row, confidence: float = CONFIDENCE) -> Estimate:
        """Row minus baseline by the deciding metric, in percent of the baseline's value."""
        decides = self.metrics[0]
        scaled = self.terms(decides, row, self.percent())
        return estimate_contrast(scaled, self.spread_up_to(decides, row.sparsity), confidence)

    def spread_up_to(self, metric: Metric, sparsity: float) -> dict[str, SeedSpread]:
        """The spread over seeds, pooled over the baseline and the rows up to a sparsity.

        Sparser networks are less stable: with them the spread of the others would be overstated.
        """
        rows = [row for row in self.group.rows if row.sparsity <= sparsity + 1e-9]
        cells = self.qualities[metric.name]
        pooled = [cells[row.name].values() for row in (self.group.baseline, *rows)]
        return {self.group.key: pool_seed_spread([cell for seeds in pooled for cell in seeds])}


def difference_terms(
    cells: dict[int, Quality], others: dict[int, Quality], scale: float = 1.0
) -> Terms:
    """Terms of the mean difference over the seeds that both have; empty if there are none."""
    common = sorted(cells.keys() & others.keys())
    weight = scale / len(common) if common else 0.0
    return [(weight, cells[seed]) for seed in common] + [(-weight, others[seed]) for seed in common]


def pairs_of(terms: Terms) -> list[float]:
    """The difference of each pair of networks alone, from the terms of their mean."""
    half = len(terms) // 2
    return [
        half * (weight * cell.value + other_weight * other.value)
        for (weight, cell), (other_weight, other) in zip(terms[:half], terms[half:], strict=True)
    ]


def mean_of_pairs(several: Sequence[Terms], pairs: Sequence[float]) -> Estimate:
    """Mean of all pairs, with the interval that their own spread gives."""
    mean = [(weight / len(several), cell) for terms in several for weight, cell in terms]
    unknown = {cell.group: SeedSpread(0.0, 0) for _, cell in mean}
    return estimate_mean(pairs, estimate_contrast(mean, unknown).event_sd)


def count(group: Group) -> GroupNumbers:
    """The numbers of one group."""
    metrics = group.metrics
    qualities = {metric.name: group.qualities(metric) for metric in metrics}
    spreads = {
        name: pool_seed_spread([cell for seeds in cells.values() for cell in seeds.values()])
        for name, cells in qualities.items()
    }
    numbers = GroupNumbers(group, metrics, spreads, qualities, [])
    for row in group.rows:
        differences = {metric.name: _difference(numbers, metric, row) for metric in metrics}
        n_seeds = len(row.views.keys() & group.baseline.views.keys())
        numbers.rows.append(RowNumbers(row, n_seeds, differences))
    return numbers


def _difference(numbers: GroupNumbers, metric: Metric, row: Row) -> Difference:
    terms = numbers.terms(metric, row)
    estimate = estimate_contrast(terms, numbers.spread_up_to(metric, row.sparsity))
    half = len(terms) // 2
    pairs = zip(terms[:half], terms[half:], strict=True)
    by_seed = [cell.value - base.value for (_, cell), (_, base) in pairs]
    return Difference(row.value(metric.name), estimate, by_seed)


@dataclass(frozen=True)
class Part:
    """One line of the evidence for a claim, in percent of the baseline's value."""

    where: str
    sparsity: str
    estimate: Estimate
    answer: str


@dataclass(frozen=True)
class Claim:
    """A claim, what it is tested by, and the answer.

    Parameters
    ----------
    text, rule : str
        The claim, and how it is decided.
    answer : str
        ``supported``, ``refuted`` or ``undecided``; empty if the study cannot tell.
    estimate : Estimate or None
        The number that sums it up, in percent of the baseline's value.
    summary : str
        What that number is.
    parts : list of Part
        The evidence.
    """

    text: str
    rule: str
    answer: Answer
    estimate: Estimate | None
    summary: str
    parts: list[Part]


def compare_schedules(studied: Sequence[GroupNumbers]) -> Claim | None:
    """Whether polynomial beats constant; None if not both are in the study."""
    parts: list[Part] = []
    overall: list[Terms] = []
    pairs: list[float] = []
    for numbers in studied:
        terms = list(_schedule_terms(numbers))
        for sparsity, own in terms:
            spread = numbers.spread_up_to(numbers.metrics[0], sparsity)
            estimate = estimate_contrast(own, spread)
            parts.append(Part(numbers.group.title, _percent(sparsity), estimate, _side(estimate)))
        if terms:
            own_pairs = [value for _, own in terms for value in pairs_of(own)]
            estimate = mean_of_pairs([own for _, own in terms], own_pairs)
            text = f"mean of {len(terms)} sparsities, {len(own_pairs)} pairs"
            parts.append(Part(numbers.group.title, text, estimate, _side(estimate)))
            overall += [own for _, own in terms]
            pairs += own_pairs
    if not overall:
        return None
    estimate = mean_of_pairs(overall, pairs)
    return Claim(
        text="Polynomial beats constant",
        rule="Polynomial minus constant at the same sparsity and seed, by the deciding metric. "
        "Supported if the interval of the mean over all pairs lies above zero, refuted if it lies "
        "below, undecided if it holds zero; Student's interval from the spread of the pairs.",
        answer=_side(estimate),
        estimate=estimate,
        summary="polynomial minus constant, positive is better for polynomial, in percent of the "
        f"baseline's value, mean over {len(pairs)} pairs of networks",
        parts=parts,
    )


def _schedule_terms(numbers: GroupNumbers) -> Iterator[tuple[float, Terms]]:
    """For each sparsity: polynomial minus constant, in percent of the baseline's value."""
    cells, scale = numbers.qualities[numbers.metrics[0].name], numbers.percent()
    rows = {(row.series, row.sparsity): row for row in numbers.group.rows}
    for polynomial, constant in _series_pairs(numbers.group.series):
        for (series, sparsity), row in rows.items():
            other = rows.get((constant, sparsity))
            if series == polynomial and other is not None:
                terms = difference_terms(cells[row.name], cells[other.name], scale)
                if terms:
                    yield sparsity, terms


def _series_pairs(series: Sequence[Series]) -> list[tuple[Series, Series]]:
    """Polynomial and constant series that are alike otherwise, or the only one of each."""
    polynomial, constant = (
        [each for each in series if each.schedule == schedule]
        for schedule in ("polynomial", "constant")
    )
    if len(polynomial) == len(constant) == 1:
        return [(polynomial[0], constant[0])]
    return [(one, other) for one in polynomial for other in constant if one.others == other.others]


def _side(estimate: Estimate) -> Answer:
    sides = {"better": "supported", "worse": "refuted"}
    return sides.get(estimate.verdict, "undecided")


def claim_no_losses(
    studied: Sequence[GroupNumbers], up_to: float, tolerated: float
) -> Iterator[Claim]:
    """For each schedule: whether nothing is lost up to a sparsity."""
    schedules = [each.row.series.schedule for numbers in studied for each in numbers.rows]
    for schedule in dict.fromkeys(schedules):
        rows = [
            (numbers, each.row)
            for numbers in studied
            for each in numbers.rows
            if each.row.series.schedule == schedule and each.row.sparsity <= up_to + 1e-9
        ]
        if rows:
            yield _claim_no_loss(rows, schedule, up_to, tolerated)


def _claim_no_loss(
    rows: Sequence[tuple[GroupNumbers, Row]], schedule: str, up_to: float, tolerated: float
) -> Claim:
    strict = 1 - (1 - CONFIDENCE) / len(rows)
    parts, worst = [], None
    for numbers, row in rows:
        estimate = numbers.relative(row)
        answer = _loss_answer(estimate, numbers.relative(row, strict), 100 * tolerated)
        parts.append(
            Part(
                f"{numbers.group.title}, {row.series.label}",
                _percent(row.sparsity),
                estimate,
                answer,
            )
        )
        if worst is None or not estimate.value >= worst.value:
            worst = estimate
    answers = {part.answer for part in parts}
    answer: Answer = "undecided"
    if "refuted" in answers or answers == {"supported"}:
        answer = "refuted" if "refuted" in answers else "supported"
    n_lost = sum(part.answer == "refuted" for part in parts)
    return Claim(
        text=f"No significant loss up to {_percent(up_to)}, {schedule or 'pruned'}",
        rule=f"All {len(rows)} rows of that schedule up to that sparsity, by the deciding metric. "
        "A row refutes it "
        f"if its interval lies below zero at a confidence of {100 * strict:.2f} % (Bonferroni: so "
        f"that all {len(rows)} rows together are wrong in 5 % of studies). A row supports it if "
        f"its 95 % interval leaves no room for a loss above {100 * tolerated:g} % of the "
        "baseline's value. Refuted if one row refutes it, supported if all rows support it, "
        "undecided otherwise.",
        answer=answer,
        estimate=worst,
        summary=f"the worst row against its baseline, in percent of the baseline's value, 95 % "
        f"interval of that row alone; {n_lost} of {len(rows)} rows refute the claim",
        parts=parts,
    )


def _loss_answer(estimate: Estimate, strict: Estimate, tolerated: float) -> Answer:
    if strict.verdict == "worse":
        return "refuted"
    return "supported" if estimate.low > -tolerated else "undecided"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


@dataclass(frozen=True)
class Study:
    """Everything that the page says in numbers.

    Parameters
    ----------
    groups : list of GroupNumbers
        One for each task and model.
    claims : list of Claim
        Answers.
    """

    groups: list[GroupNumbers]
    claims: list[Claim]


def make_study(
    runs: Sequence[Results], *, baseline: dict[str, Any], up_to: float, tolerated_loss: float
) -> Study:
    """Verdicts and claims from tested runs.

    Parameters
    ----------
    runs : sequence of Results
        Dense baselines and pruned runs.
    baseline : dict
        Dotted options, and the values that baselines have.
    up_to : float
        Sparsity up to which losses are looked for.
    tolerated_loss : float
        Loss that does not matter, as a fraction of the baseline's value.

    Raises
    ------
    UserError
        The runs are no study: see ``sort_runs``.
    """
    groups = [count(group) for group in sort_runs(runs, baseline)]
    claims = [compare_schedules(groups), *claim_no_losses(groups, up_to, tolerated_loss)]
    return Study(groups, [claim for claim in claims if claim is not None])


def summarise_study(study: Study) -> dict[str, Any]:
    """The numbers in JSON's own types, for programs."""
    return plain_values(
        {
            "schema_version": SCHEMA_VERSION,
            "confidence": CONFIDENCE,
            "groups": [_group_summary(numbers) for numbers in study.groups],
            "claims": [
                {
                    "text": claim.text,
                    "answer": claim.answer,
                    "rule": claim.rule,
                    "summary": claim.summary,
                    "percent": _interval(claim.estimate),
                    "parts": [
                        {
                            "where": part.where,
                            "sparsity": part.sparsity,
                            "answer": part.answer,
                            **_interval(part.estimate),
                        }
                        for part in claim.parts
                    ],
                }
                for claim in study.claims
            ],
        }
    )


def _group_summary(numbers: GroupNumbers) -> dict[str, Any]:
    group = numbers.group
    return {
        "title": group.title,
        "task": group.task,
        "decides": numbers.metrics[0].name,
        "seed_sd": {name: spread.variance**0.5 for name, spread in numbers.spreads.items()},
        "seed_dof": {name: spread.dof for name, spread in numbers.spreads.items()},
        "baseline": _row_summary(group.baseline, numbers.metrics),
        "rows": [
            _row_summary(each.row, numbers.metrics)
            | {
                "series": each.row.series.label if each.row.series else None,
                "sparsity": each.row.sparsity,
                "verdict": each.verdict,
                "differences": {
                    name: {
                        "verdict": difference.verdict,
                        "by_seed": difference.by_seed,
                        **_interval(difference.estimate),
                    }
                    for name, difference in each.differences.items()
                },
            }
            for each in numbers.rows
        ],
    }


def _row_summary(row: Row, metrics: Sequence[Metric]) -> dict[str, Any]:
    return {
        "runs": [view.run.name for view in row.views.values()],
        "seeds": list(row.views),
        "metrics": {metric.name: row.value(metric.name) for metric in metrics},
        "facts": {name: row.fact(name) for name in (*SIZES, "n_nonzero_parameters", "sparsity")},
    }


def _interval(estimate: Estimate | None) -> dict[str, float]:
    if estimate is None:
        return {}
    names = ("value", "low", "high", "event_sd", "seed_sd", "dof")
    return {name: getattr(estimate, name) for name in names}
