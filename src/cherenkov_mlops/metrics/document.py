"""The page about all metrics, made from their registry.

``python -m cherenkov_mlops.metrics.document > docs/metrics.md`` writes it.
"""

import sys

from cherenkov_mlops.metrics import Metric, metrics_of

_TITLES = {
    "type": "Particle type",
    "energy": "Energy",
    "direction": "Direction",
    "generic": "Training, model and cost",
}
_BETTER = {
    "higher": "higher is better",
    "lower": "lower is better",
    "zero": "nearer to zero is better",
    "none": "neither high nor low is better",
}
_HEAD = """# Metrics

Made from the registry by `python -m cherenkov_mlops.metrics.document > docs/metrics.md`.

The name of a metric is its key in `metrics.json`. Each value of a task comes with a 68 % bootstrap
interval (seeded, 200 replicates unless `test.n_bootstrap` says otherwise) and the number of events.
In comparisons a run is better than another only where the central 95 % interval of their paired
bootstrap differences excludes zero; else they are tied.
"""


def describe_metrics() -> str:
    """Markdown page: symbol, name, unit, what is good, and the docstring of every metric."""
    parts = [_HEAD]
    for kind, title in _TITLES.items():
        parts.append(f"\n## {title}\n")
        parts += [_describe(entry) for entry in metrics_of(kind).values()]
    return "\n".join(parts)


def _describe(entry: Metric) -> str:
    unit = f", {entry.unit}" if entry.unit else ""
    alarm = f"\n\nBelow {entry.fails_below:g}: {entry.failure}." if entry.failure else ""
    head = f"### `{entry.name}`\n\n{entry.symbol}{unit}; {_BETTER[entry.better]}."
    return f"{head}\n\n{entry.doc}{alarm}\n"


if __name__ == "__main__":
    sys.stdout.write(describe_metrics())
