"""``predict``: what the trained model says of the test files."""

import json
import logging
import time
from pathlib import Path

from cherenkov_mlops.compression.measuring.costs import digest_of_model
from cherenkov_mlops.config.load import open_run
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.checks import find_in_test_files
from cherenkov_mlops.data.findings import tell
from cherenkov_mlops.data.inputs import inspect_inputs
from cherenkov_mlops.data.manifest import read_manifest
from cherenkov_mlops.data.overlap import warn_of_overlap
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.forms import FORMS
from cherenkov_mlops.metrics import metrics_of
from cherenkov_mlops.metrics.base import GENERIC
from cherenkov_mlops.metrics.cost import MEASURED_ON_REQUEST
from cherenkov_mlops.models.base import load_model
from cherenkov_mlops.pipeline.attempt import Attempt
from cherenkov_mlops.pipeline.lifecycle import run_stage
from cherenkov_mlops.pipeline.predictions import Predicted, Predictions, write_predictions
from cherenkov_mlops.prediction.predictor import predict_inputs
from cherenkov_mlops.run_dir import RunDir

log = logging.getLogger(__name__)


def run(config: RunConfig, run_dir: RunDir, *, force: bool = False) -> None:
    """Run the stage unless it is complete and unchanged; see `predict` and `run_stage`."""
    run_stage("predict", config, run_dir, force=force)


def predict(config: RunConfig, run_dir: RunDir, attempt: Attempt) -> None:
    """Write ``predict/``: a DL2 file for each test file, and all that evaluating has to know.

    Raises
    ------
    UserError
        An engine is asked for that is not installed or not for this run, or a run of
        ``test.with_runs`` cannot be used.
    DataError
        A test file cannot be used, or no event passes the cuts.
    """
    if config.export is not None and config.test.engine != "keras":
        raise UserError(
            f"{config.locate('test.engine')}: expected none for an export, which has "
            f"an engine of its own ({FORMS[config.export.format].engine}), got "
            f"{config.test.engine}; test {config.export.of} with it"
        )
    started = time.perf_counter()
    manifest = read_manifest(run_dir)
    testing = inspect_inputs(config, "test", manifest.inputs)
    overlap = warn_of_overlap(manifest.inputs, testing)
    findings = find_in_test_files(config, manifest.inputs, testing)
    tell(findings)
    timing = predict_inputs(config, testing, run_dir)

    facts = json.loads(run_dir.training_record.read_text(encoding="utf-8"))
    model = load_model(config, run_dir)
    facts |= model.describe() | timing
    facts["testing_time_s"] = time.perf_counter() - started
    # What a model does not have, such as layers, is not missing on its page.
    facts["without"] = sorted(set(metrics_of(GENERIC)) - {*facts, *MEASURED_ON_REQUEST})

    # Measured costs are of the model itself, not of another form that an engine runs.
    file = getattr(model, "file", None)
    is_model_itself = file and (config.export is not None or timing["engine"] == "keras")
    own = Predicted("", manifest.inputs.energy_range_tev)
    tasks = dict.fromkeys(config.tasks, own)
    for folder in config.test.with_runs:
        other, place = open_run(Path(folder))
        trained_tev = read_manifest(place).inputs.energy_range_tev
        tasks |= dict.fromkeys(other.tasks, Predicted(place.name, trained_tev))
    predictions = Predictions(
        tasks=tasks,
        inputs=testing,
        facts=facts,
        model_sha256=digest_of_model(file) if is_model_itself else None,
        overlap=overlap,
        findings=[finding.as_dict() for finding in findings],
    )
    write_predictions(predictions, run_dir)
    log.info("predict: %d events, %s", facts["n_testing_events"], run_dir.predict_dir)
