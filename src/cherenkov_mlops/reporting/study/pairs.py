"""Pairs of networks that differ in one thing."""

from collections.abc import Sequence

from cherenkov_mlops.metrics.contrasts import (
    Estimate,
    Quality,
    SeedSpread,
    estimate_contrast,
    estimate_mean,
)

type Terms = list[tuple[float, Quality]]
"""Weights and networks of a contrast."""


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
