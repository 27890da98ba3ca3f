"""How long the evaluation of millions of events takes, and the pages made from it.

``python benchmarks/evaluation.py`` writes DL2 files in ctapipe's format to a temporary folder,
evaluates them in a process of its own, makes the report from ``metrics.json`` and compares twelve
such runs. The last line is ``RESULT seconds=... memory_gb=... report_s=... html_mb=...
compare_s=...``; above it stand the sizes of the other files.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import astropy.units as u
import numpy as np
from astropy.table import Table
from ctapipe.io import write_table

from cherenkov_mlops.commands import compare
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.paths import RUNS, SHOWERS
from cherenkov_mlops.pipeline.evaluation import evaluate_run, read_events_of
from cherenkov_mlops.pipeline.predictions import Predicted, Predictions
from cherenkov_mlops.results import read_results, write_results
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages import report
from cherenkov_mlops.tasks import TASKS

TELESCOPES = (21, 22)
POINTING_DEG = (70.0, 0.0)
FACTS = {
    "scheduled_epochs": 10,
    "effective_epochs": 10,
    "best_epoch": 9,
    "batch_size": 64,
    "n_training_events": 1_000_000,
    "n_parameters": 1_234_567,
    "mmacs": 250.0,
    "model_size_zipped_mb": 4.5,
    "network_time_ms": 0.4,
}


def main() -> None:
    """Measure, and print what was measured."""
    options = read_options()
    if options.child is not None:
        evaluate(options.child, options.task, options.mode)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = prepare_run(folder / "run_00", options)
        write_dl2(run, options)
        seconds, memory_gb = measure_child(run, options)
        print(f"metrics.json: {run.metrics.stat().st_size / 1e6:.2f} MB")
        runs = [run, *(imitate(run, folder / f"run_{n:02}", n) for n in range(1, options.runs))]
        report_s = measure(lambda: report.run(None, run))
        page = folder / "comparison.html"
        paths = [other.path for other in runs]
        compare_s = measure(lambda: compare.run(paths, page, baseline="run_00"))
        print(f"comparison.html: {page.stat().st_size / 1e6:.2f} MB, {options.runs} runs")
        html_mb = run.report.stat().st_size / 1e6
    print(
        f"RESULT seconds={seconds:.1f} memory_gb={memory_gb:.2f} report_s={report_s:.1f} "
        f"html_mb={html_mb:.2f} compare_s={compare_s:.1f}"
    )


def read_options() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=2_000_000, help="rows of all DL2 files")
    parser.add_argument("--task", choices=list(TASKS), default="type")
    parser.add_argument("--runs", type=int, default=12, help="runs to compare")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.mode = TASKS[options.task].modes[0]
    return options


def measure(action) -> float:
    """Seconds that the action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def measure_child(run: RunDir, options: argparse.Namespace) -> tuple[float, float]:
    """Seconds and largest memory [GB] of the evaluation, start of Python and imports included."""
    command = [sys.executable, __file__, "--child", str(run.path), "--task", options.task]
    seconds = measure(lambda: subprocess.run(command, check=True))
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9


def evaluate(path: Path, task: str, mode: str) -> None:
    """Write ``metrics.json`` of the run from its DL2 files."""
    run, config = RunDir(path), make_config(path.name, task, mode)
    started = time.perf_counter()
    predictions = Predictions({task: Predicted()}, input_files(), FACTS, None, [], [])
    events, _ = read_events_of(task, predictions, mode, run)
    read = time.perf_counter()
    facts = FACTS | {"n_testing_events": len(events)}
    results = evaluate_run(config, run, replace(predictions, facts=facts))
    write_results(results, run.metrics)
    print(
        f"{len(events):,} events: read in {read - started:.1f} s, read again and evaluated in "
        f"{time.perf_counter() - read:.1f} s"
    )


def make_config(name: str, task: str, mode: str) -> RunConfig:
    """Configuration of a run on files that need not exist: only their predictions are read."""
    files = {"signal": ["/signal.dl1.h5"], "background": ["/background.dl1.h5"]}
    stacked = {"stack_telescope_images": mode == "stereo", "mode": mode}
    content = {
        "run": {"name": name},
        "task": task,
        "data": {"train": files, "test": files} | stacked,
    }
    return RunConfig.model_validate(content)


def input_files() -> SimpleNamespace:
    """What `read_events_of` needs to know of the test files."""

    def outputs(label: str, run: RunDir) -> dict[str, Path]:
        return {label: run.dl2(f"{label}.dl1.h5", label)}

    return SimpleNamespace(files=("signal", "background"), outputs=outputs)


def prepare_run(path: Path, options: argparse.Namespace) -> RunDir:
    """A run folder with what earlier stages would have left there."""
    run = RunDir(path)
    for file in (run.manifest, run.history, run.predict_dir / "x"):
        file.parent.mkdir(parents=True, exist_ok=True)
    edges = np.logspace(-2, 3, 26).tolist()
    counts = {"signal": [4000] * 25, "background": [4000] * 25}
    sets = {name: {"signal": 100_000, "background": 100_000} for name in ("training", "validation")}
    manifest = {
        "counts": {"sets": sets, "cuts": [], "energy": counts, "energy_edges_tev": edges},
        "files": {},
    }
    run.manifest.write_text(json.dumps(manifest))
    rows = [f"{epoch},{1 / epoch},{1.1 / epoch},1e-4\n" for epoch in range(1, 11)]
    run.history.write_text("epoch,loss,val_loss,learning_rate\n" + "".join(rows))
    run.model_summary.write_text("ResNet")
    return run


def write_dl2(run: RunDir, options: argparse.Namespace) -> None:
    """One DL2 file a class, in ctapipe's format, with the predictions of an imagined network."""
    for label in ("signal", "background"):
        generator = np.random.default_rng(len(label))
        per_shower = len(TELESCOPES) if options.mode == "mono" else 1
        showers = make_showers(options.events // 2 // per_shower, generator)
        path = run.dl2(f"{label}.dl1.h5", label)
        write_table(showers, path, SHOWERS)
        alt, az = POINTING_DEG * u.deg
        pointing = {"obs_id": [1], "min_alt": [alt], "max_alt": [alt], "min_az": [az]}
        write_table(Table(pointing | {"max_az": [az]}), path, RUNS)
        for telescope in TELESCOPES[:per_shower]:
            write_predictions(path, showers, telescope, label, options, generator)


def make_showers(n_showers: int, generator: np.random.Generator) -> Table:
    """Showers of a power law of index -2 between 0.02 and 300 TeV, around the pointing."""
    low, high = 1 / 300, 1 / 0.02
    return Table(
        {
            "obs_id": np.ones(n_showers, dtype=np.int32),
            "event_id": np.arange(n_showers),
            "true_energy": 1 / generator.uniform(low, high, n_showers) * u.TeV,
            "true_alt": generator.normal(POINTING_DEG[0], 2, n_showers) * u.deg,
            "true_az": generator.normal(POINTING_DEG[1], 5, n_showers) % 360 * u.deg,
        }
    )


def write_predictions(
    path: Path,
    showers: Table,
    telescope: int,
    label: str,
    options: argparse.Namespace,
    generator: np.random.Generator,
) -> None:
    """Table of one telescope (mono) or of the array (stereo)."""
    task, n_rows = TASKS[options.task], len(showers)
    level, middle = ("telescope", "_tel") if options.mode == "mono" else ("subarray", "")
    table = showers["obs_id", "event_id"]
    if options.mode == "mono":
        table["tel_id"] = telescope
    for column, values in predict(showers, label, task.name, generator).items():
        table[f"{task.dl2.prefix}{middle}_{column}"] = values
    table[f"{task.dl2.prefix}{middle}_is_valid"] = generator.random(n_rows) < 0.98
    node = f"/dl2/event/{level}/{task.dl2.group}/{task.dl2.prefix}"
    write_table(table, path, f"{node}/tel_{telescope:03}" if options.mode == "mono" else node)


def predict(showers: Table, label: str, task: str, generator: np.random.Generator) -> dict:
    """Columns of the task; errors shrink with energy. Scores are of single precision."""
    n_rows, energy = len(showers), showers["true_energy"].value
    width = 0.1 + 0.1 / np.sqrt(1 + energy)
    if task == "type":
        logit = (1 if label == "signal" else -1) + generator.normal(0, 8 * width, n_rows)
        return {"prediction": (1 / (1 + np.exp(-2 * logit))).astype(np.float32).astype(float)}
    if task == "energy":
        return {"energy": energy * np.exp(generator.normal(0, width)) * u.TeV}
    return {
        "alt": showers["true_alt"] + generator.normal(0, width) * u.deg,
        "az": (showers["true_az"].value + generator.normal(0, 3 * width)) % 360 * u.deg,
    }


def imitate(run: RunDir, path: Path, number: int) -> RunDir:
    """Run folder whose numbers are those of ``run`` with small changes: as much to draw."""
    generator = np.random.default_rng(number)
    results = read_results(run.metrics)
    results.run.name = results.run.title = path.name
    results.config["run"]["name"] = path.name
    results.config["train"]["batch_size"] = 64 + number
    (task,) = results.tasks.values()
    for name, replicates in task.replicates.items():
        factor = 1 + 0.01 * generator.normal()
        entry = task.metrics[name]
        entry.value, entry.low, entry.high = (
            x * factor for x in (entry.value, entry.low, entry.high)
        )
        task.replicates[name] = [value * factor for value in replicates]
    for arrays in task.figures.values():
        for key in ("value", "low", "high", "signal_efficiency", "share"):
            if isinstance(arrays.get(key), list):
                changed = np.array(arrays[key], float) * (1 - 0.01 * number)
                arrays[key] = changed.tolist()
    other = RunDir(path)
    write_results(results, other.metrics)
    return other


if __name__ == "__main__":
    main()
