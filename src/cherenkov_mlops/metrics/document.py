"""The page about all metrics, made from their registry.

``python -m cherenkov_mlops.metrics.document > docs/metrics.md`` writes it.
"""

import sys

from cherenkov_mlops.metrics import Metric, metrics_of
from cherenkov_mlops.metrics.base import GENERIC
from cherenkov_mlops.tasks import kinds

_BETTER = {
    "higher": "higher is better",
    "lower": "lower is better",
    "zero": "nearer to zero is better",
    "none": "neither high nor low is better",
}
_GOOD = {"higher": "high", "lower": "low", "zero": "near zero", "none": "–"}
_TABLE = "| name | symbol | unit | meaning | good is |\n|---|---|---|---|---|"
_HEAD = """# Metrics

Made from the registry by `python -m cherenkov_mlops.metrics.document > docs/metrics.md`.

The name of a metric is its key in `metrics.json`. Each value of a task comes with a 68 % bootstrap
interval and the number of events. The bootstrap draws whole showers (telescope images of one shower
err together), 200 times unless `test.n_bootstrap` says otherwise, with the same seed for all runs:
on the same test files the draws of two runs are pairs. With more than 50,000 events each replicate
draws about 50,000 of them, and its deviation is scaled by the square root of the ratio (m out of n
bootstrap). In comparisons a run is better than another only where the central 95 % interval of
their paired differences excludes zero; else they are tied.

Metrics of the particle type count signal as positive. TP and FN are signal events that pass and
fail the threshold (`test.threshold`), FP and TN background events; $s$ is the score (gammaness),
$y$ is one for signal and zero for background, $Q_p$ a quantile, $\\langle\\,\\rangle$ a mean over
events, $\\sigma$ a standard deviation. Energies are in TeV.
"""


def describe_metrics() -> str:
    """Describe every metric in Markdown: symbol, name, unit, what is good, formula, source."""
    parts = [_HEAD]
    titles = {kind: task.kind_title for kind, task in kinds().items()}
    for kind, title in (titles | {GENERIC: "Training, model and cost"}).items():
        entries = metrics_of(kind).values()
        parts += [f"\n## {title}\n", _TABLE, *(_row(entry) for entry in entries), ""]
        if kind != GENERIC:
            parts += [_describe(entry) for entry in entries]
    return "\n".join(parts)


def _row(entry: Metric) -> str:
    cells = (f"`{entry.name}`", entry.symbol, entry.unit, entry.text, _GOOD[entry.better])
    return f"| {' | '.join(cells)} |"


def _describe(entry: Metric) -> str:
    unit = f", {entry.unit}" if entry.unit else ""
    parts = [f"### `{entry.name}`", f"{entry.symbol}{unit}; {_BETTER[entry.better]}.", entry.doc]
    if entry.failure:
        parts.append(f"Below {entry.fails_below:g}: {entry.failure}.")
    parts += [f"- Formula: {entry.formula}\n- Source: {entry.source}"]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(describe_metrics())
