"""``evaluate``: metrics and figures of the predictions; needs neither a GPU nor TensorFlow."""

import logging

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.pipeline.attempt import Attempt
from cherenkov_mlops.pipeline.evaluation import evaluate_run
from cherenkov_mlops.pipeline.lifecycle import run_stage
from cherenkov_mlops.pipeline.predictions import load_predictions
from cherenkov_mlops.results import write_results
from cherenkov_mlops.run_dir import RunDir

log = logging.getLogger(__name__)


def run(config: RunConfig, run_dir: RunDir, *, force: bool = False) -> None:
    """Run the stage unless it is complete and unchanged; see `evaluate` and `run_stage`."""
    run_stage("evaluate", config, run_dir, force=force)


def evaluate(config: RunConfig, run_dir: RunDir, attempt: Attempt) -> None:
    """Write ``metrics.json``: every metric, the arrays of every figure, some example images.

    Raises
    ------
    UserError
        The predictions are of an earlier version of this program.
    """
    results = evaluate_run(config, run_dir, load_predictions(run_dir))
    write_results(results, run_dir.metrics)
    for task, each in results.tasks.items():
        log.info("evaluate: %s: %d events, %s", task, each.test.total, run_dir.metrics)
