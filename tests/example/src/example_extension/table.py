"""A stage of its own: the metrics of a run as a table for a spreadsheet."""

import csv
from typing import Any

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.pipeline.stage import STAGES, Stage
from cherenkov_mlops.results import read_results
from cherenkov_mlops.run_dir import RunDir, atomic_path


def write_table(config: RunConfig, run_dir: RunDir, *_: Any) -> None:
    """Write ``table.csv``: one row a metric of each task."""
    results = read_results(run_dir.metrics)
    with atomic_path(run_dir.path / "table.csv") as path, path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["task", "metric", "value"])
        for task, found in results.tasks.items():
            for name, measured in found.metrics.items():
                writer.writerow([task, name, measured.value])


STAGES.add(
    "table",
    Stage(
        name="table",
        help="Write the metrics of an evaluated run as a table.",
        body=write_table,
        after=("evaluate",),
        outputs=lambda run_dir: [run_dir.path / "table.csv"],
        on_change="remake",
    ),
)
