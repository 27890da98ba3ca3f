"""What the forms of a run's model cost: measured, kept beside each, and put into its results."""

import json
import logging
from collections.abc import Sequence

from cherenkov_mlops.compression.measuring.costs import Costs, digest_of_model, measure_costs
from cherenkov_mlops.config.load import open_run
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.manifest import read_manifest
from cherenkov_mlops.metrics import EvaluationSettings, evaluate_metrics
from cherenkov_mlops.models.cost import model_facts
from cherenkov_mlops.models.keras_model import load_model_file, tested_model
from cherenkov_mlops.pipeline.record import RunRecord
from cherenkov_mlops.results import Fact, read_results, write_results
from cherenkov_mlops.run_dir import RunDir, write_json_atomically

log = logging.getLogger(__name__)


def measure_runs(runs: Sequence[tuple[RunConfig, RunDir]]) -> list[Costs]:
    """Measure the costs of each run's model in its form; they are written to the run folders, too.

    A run that was tested before gets them into its ``metrics.json``; later tests put them there.
    """
    found = []
    for config, run_dir in runs:
        form = config.export.format if config.export else "keras"
        code = run_dir.custom_model if config.model.type == "custom" else None
        shape = read_manifest(run_dir).input_shape
        log.info("compress: measuring %s", run_dir.name)
        costs = measure_costs(form, tested_model(config, run_dir), shape, code)
        write_json_atomically(run_dir.costs, costs.as_dict())
        found.append(costs)
        if run_dir.metrics.is_file():
            results = read_results(run_dir.metrics)
            facts = cost_facts(config, run_dir, results.facts.get("engine", "keras"))
            values, _ = evaluate_metrics(facts, "generic", EvaluationSettings())
            results.facts |= facts
            results.metrics |= {
                name: Fact.model_validate(values[name]) for name in facts if name in values
            }
            write_results(results, run_dir.metrics)
    return found


def cost_facts(config: RunConfig, run_dir: RunDir, engine: str) -> dict[str, float]:
    """Facts about the measured costs of a test; empty if they are of another file or engine."""
    if not run_dir.costs.is_file() or (config.export is None and engine != "keras"):
        return {}
    costs = Costs.from_dict(json.loads(run_dir.costs.read_text(encoding="utf-8")))
    fits = costs.sha256 == digest_of_model(tested_model(config, run_dir))
    return costs.facts() if fits else {}


def find_exports(run_dir: RunDir) -> list[tuple[RunConfig, RunDir]]:
    """Find the exports of a run that lie beside it, by name."""
    wanted = RunRecord.read(run_dir).content.get("id")
    found = []
    for folder in sorted(run_dir.path.parent.iterdir()):
        other = RunDir(folder)
        if folder.name.startswith(".") or not other.record.is_file():
            continue
        if RunRecord.read(other).content.get("exported_from") == wanted:
            found.append(open_run(folder))
    return found


def describe_network(config: RunConfig, run_dir: RunDir) -> str:
    """Weights and operations of the run's model; its exports have the same."""
    facts = model_facts(load_model_file(tested_model(config, run_dir)))
    return (
        f"{run_dir.name}: {facts['n_parameters']:,.0f} parameters, "
        f"{facts['n_nonzero_parameters']:,.0f} of them not zero; an image takes "
        f"{facts['mmacs']:.3g} million multiply-accumulates, {facts['effective_mmacs']:.3g} with "
        f"weights that are not zero ({facts['gflops']:.3g} GFLOP)"
    )


def describe_costs(costs: Costs) -> list[str]:
    """Cells of one row of a table, beside ``COST_COLUMNS``."""
    one, every = costs.one_core, costs.all_cores
    return [
        costs.form,
        f"{costs.size_mb:.3g}",
        f"{costs.zipped_mb:.3g}",
        f"{one.latency_ms:.3g}",
        f"{every.latency_ms:.3g}",
        f"{one.throughput_hz:.0f}",
        f"{every.throughput_hz:.0f}",
        f"{one.peak_memory_mb:.0f}",
    ]


COST_COLUMNS = (
    "form",
    "MB",
    "zipped",
    "ms, 1 core",
    "all cores",
    "images/s, 1 core",
    "all cores",
    "memory MB",
)
