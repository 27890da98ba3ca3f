"""``evaluate``: metrics and figures of the predictions; needs neither a GPU nor TensorFlow."""

import logging

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.examples import pick_examples, read_example_images
from cherenkov_mlops.data.predictions import describe_predictions
from cherenkov_mlops.pipeline.attempt import Attempt
from cherenkov_mlops.pipeline.evaluation import evaluate_run, read_predictions
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
    predictions = load_predictions(run_dir)
    events, n_invalid = read_predictions(config, predictions.inputs, run_dir)
    facts = predictions.facts | predictions.measured_costs(run_dir)
    results = evaluate_run(config, run_dir, events, facts)
    results.data |= {
        "n_invalid": n_invalid,
        "overlap": predictions.overlap,
        "findings": results.data["findings"] + predictions.findings,
        "predictions": describe_predictions(events, config.task, predictions.trained_tev),
    }
    # From the test files, where they still are: a page without example images is a page, too.
    files = {label: predictions.inputs.paths(label) for label in predictions.inputs.files}
    missing = [path for paths in files.values() for path in paths if not path.is_file()]
    if missing:
        log.warning("evaluate: %s is gone: no example images", missing[0])
    else:
        results.examples = read_example_images(
            pick_examples(events, config.task),
            files,
            predictions.inputs.telescopes,
            config.data.focal_length_choice,
        )
    write_results(results, run_dir.metrics)
    log.info("evaluate: %d events, %s", len(events), run_dir.metrics)
