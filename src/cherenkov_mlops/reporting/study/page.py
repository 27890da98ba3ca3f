"""The page of a study."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from cherenkov_mlops.figures.style import DARK_PALETTE, PALETTE
from cherenkov_mlops.metrics import Metric
from cherenkov_mlops.metrics.contrasts import CONFIDENCE, Estimate
from cherenkov_mlops.reporting.html import embed_json, page_environment
from cherenkov_mlops.reporting.sections import ARROWS
from cherenkov_mlops.reporting.study.figures import (
    cost_blocks,
    curve_blocks,
    example_views,
    sparsity_blocks,
)
from cherenkov_mlops.reporting.study.numbers import (
    SIZES,
    Claim,
    Difference,
    GroupNumbers,
    RowNumbers,
    Study,
)
from cherenkov_mlops.reporting.study.runs import Group
from cherenkov_mlops.reporting.svg import VARIABLES
from cherenkov_mlops.reporting.tables import MISSING, format_measured, format_number

VERDICTS = {
    "same": "same as the baseline",
    "worse": "worse",
    "better": "better",
    "unknown": "unknown",
}
_STATES = {"supported": "good", "refuted": "failure", "undecided": "warning"}
#: Seeds that differ by more than this many pooled spreads are pointed out.
_ODD_SPREADS = 3.0


def render_study(study: Study, *, title: str, summary: dict[str, Any]) -> str:
    """HTML page that needs no other file.

    Parameters
    ----------
    study : Study
        What to show.
    title : str
        Heading.
    summary : dict
        The numbers, put into the page.
    """
    n_verdicts = sum(len(numbers.rows) for numbers in study.groups)
    n_all = sum(len(each.differences) for numbers in study.groups for each in numbers.rows)
    counts = Counter(each.verdict for numbers in study.groups for each in numbers.rows)
    views = [
        view
        for numbers in study.groups
        for row in (numbers.group.baseline, *numbers.group.rows)
        for view in row.views.values()
    ]
    page = {
        "title": title,
        "created": max(view.run.created for view in views),
        "n_runs": len(views),
        "claims": [_claim_part(claim) for claim in study.claims],
        "counts": [(VERDICTS[name], counts[name]) for name in VERDICTS if counts[name]],
        "n_verdicts": n_verdicts,
        "n_chance": format_number((1 - CONFIDENCE) * n_verdicts, 2),
        "n_all": n_all,
        "n_all_chance": format_number((1 - CONFIDENCE) * n_all, 2),
        "groups": [_group_part(numbers) for numbers in study.groups],
        "verdicts": VERDICTS,
        "palette": list(zip(PALETTE, DARK_PALETTE, strict=True)),
        "colors": embed_json({name: color for color, name in VARIABLES.items()}),
        "embedded": embed_json(summary),
    }
    return page_environment().get_template("study.html.j2").render(page)


def _claim_part(claim: Claim) -> dict[str, Any]:
    value, interval = _percent_texts(claim.estimate)
    parts = [
        {
            "where": part.where,
            "sparsity": part.sparsity,
            "answer": part.answer,
            "number": part.estimate.value,
            "texts": _percent_texts(part.estimate),
        }
        for part in claim.parts
    ]
    return {
        "claim": claim,
        "state": _STATES[claim.answer],
        "value": value,
        "interval": interval,
        "parts": parts,
    }


def _percent_texts(estimate: Estimate | None) -> tuple[str, str]:
    if estimate is None:
        return MISSING, ""
    value, interval = format_measured(estimate.value, estimate.low, estimate.high)
    sign = "+" if estimate.value > 0 else ""
    return f"{sign}{value} %", f"{interval} %" if interval else ""


def _group_part(numbers: GroupNumbers) -> dict[str, Any]:
    group = numbers.group
    decides = numbers.metrics[0]
    spread = numbers.spreads[decides.name]
    return {
        "numbers": numbers,
        "group": group,
        "key": group.key,
        "title": group.title,
        "metrics": [(metric, ARROWS[metric.better]) for metric in numbers.metrics],
        "decides": decides,
        "seed_sd": format_number(spread.variance**0.5, 2),
        "seed_dof": spread.dof,
        "n_rows": len(group.rows) + 1,
        "n_events": format_number(_n_events(group)),
        "seeds": ", ".join(map(str, group.baseline.views)),
        "baseline": [_baseline_cell(group, metric) for metric in numbers.metrics],
        "rows": [_row_part(each) for each in numbers.rows],
        "odd": list(_odd_rows(numbers)),
        "sizes": _size_rows(group),
        "by_sparsity": sparsity_blocks(group),
        "costs": cost_blocks(group),
        "curves": curve_blocks(group),
        "examples": [view.run.name for view in example_views(group)],
    }


def _n_events(group: Group) -> float:
    view = next(iter(group.baseline.views.values()))
    return max((m.n for m in view.part.metrics.values() if m.n is not None), default=np.nan)


def _baseline_cell(group: Group, metric: Metric) -> dict[str, Any]:
    values = [view.part.value(metric.name) for view in group.baseline.views.values()]
    value, interval = format_measured(float(np.mean(values)), min(values), max(values))
    return {"value": value, "interval": interval, "number": float(np.mean(values))}


def _row_part(each: RowNumbers) -> dict[str, Any]:
    return {
        "series": each.row.series.label if each.row.series else MISSING,
        "sparsity": f"{100 * each.row.sparsity:g} %",
        "number": each.row.sparsity,
        "n_seeds": each.n_seeds,
        "verdict": each.verdict,
        "cells": [_cell(difference) for difference in each.differences.values()],
    }


def _cell(difference: Difference) -> dict[str, Any]:
    estimate = difference.estimate
    value, interval = format_measured(estimate.value, estimate.low, estimate.high)
    return {
        "mean": format_number(difference.value),
        "value": f"+{value}" if estimate.value > 0 else value,
        "interval": interval,
        "number": estimate.value,
        "verdict": difference.verdict,
        "by_seed": ", ".join(f"{value:+.3g}" for value in difference.by_seed),
    }


def _odd_rows(numbers: GroupNumbers) -> Iterator[str]:
    """Rows whose seeds differ by far more than the pooled spread lets expect."""
    metric = numbers.metrics[0]
    for each in numbers.rows:
        pooled = numbers.spread_up_to(metric, each.row.sparsity)[numbers.group.key]
        spread = pooled.variance**0.5
        by_seed = each.differences[metric.name].by_seed
        if len(by_seed) > 1 and np.ptp(by_seed) > _ODD_SPREADS * 2**0.5 * spread > 0:
            yield each.row.name


def _size_rows(group: Group) -> list[dict[str, Any]]:
    """Sizes of the baseline and of each row, and their shares of the baseline's."""
    rows = []
    for row in (group.baseline, *group.rows):
        cells = []
        for fact in (*SIZES, "n_nonzero_parameters"):
            size, dense = row.fact(fact), group.baseline.fact(fact)
            share = f"{100 * size / dense:.1f} %" if dense > 0 and np.isfinite(size) else ""
            cells.append({"size": format_number(size, 3), "share": share, "number": size})
        label = row.series.label if row.series else "baseline"
        rows.append({"label": label, "sparsity": f"{100 * row.sparsity:g} %", "cells": cells})
    return rows
