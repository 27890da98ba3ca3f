"""``test``: predict the test files, evaluate the predictions."""

import json
import logging
import time

from cherenkov_mlops.commands.costs import cost_facts
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.findings import tell
from cherenkov_mlops.data.inputs import inspect_inputs
from cherenkov_mlops.data.manifest import read_manifest
from cherenkov_mlops.data.overlap import warn_of_overlap
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.forms import FORMS
from cherenkov_mlops.models.builder import load_custom_code, load_model_file
from cherenkov_mlops.models.cost import file_sizes, model_facts
from cherenkov_mlops.models.packing import packed_size
from cherenkov_mlops.pipeline.data_checks import find_in_test_files
from cherenkov_mlops.pipeline.evaluation import evaluate_run, read_predictions
from cherenkov_mlops.pipeline.lifecycle import run_stage
from cherenkov_mlops.prediction.predictor import predict_inputs
from cherenkov_mlops.results import write_results
from cherenkov_mlops.run_dir import RunDir

log = logging.getLogger(__name__)


def run(config: RunConfig, run_dir: RunDir, *, force: bool = False) -> None:
    """Write ``test/*.dl2.h5`` and ``metrics.json``.

    Raises
    ------
    UserError
        ``train`` is not complete, the test was done with other settings, or an engine is asked
        for that is not installed or not for this run.
    DataError
        A test file cannot be used, or no event passes the cuts.
    """
    if config.export is not None and config.test.engine != "keras":
        raise UserError(
            f"{config.locate('test.engine')}: expected none for an export, which has "
            f"an engine of its own ({FORMS[config.export.format].engine}), got "
            f"{config.test.engine}; test {config.export.of} with it"
        )
    run_stage("test", config, run_dir, _test, force=force)


def _test(config: RunConfig, run_dir: RunDir) -> None:
    started = time.perf_counter()
    manifest = read_manifest(run_dir)
    testing = inspect_inputs(config, "test", manifest.inputs)
    overlap = warn_of_overlap(manifest.inputs, testing)
    findings = find_in_test_files(config, manifest.inputs, testing)
    tell(findings)
    load_custom_code(config, run_dir)
    timing = predict_inputs(config, testing, run_dir)

    facts = json.loads(run_dir.training_record.read_text(encoding="utf-8"))
    model = load_model_file(run_dir.trained_model)
    facts |= model_facts(model) | timing | {"model_size_packed_mb": packed_size(model) / 1e6}
    if config.export is not None:
        size, zipped = file_sizes(run_dir.exported_model(config.export.format))
        facts |= {"model_size_mb": size / 1e6, "model_size_zipped_mb": zipped / 1e6}
    facts |= cost_facts(config, run_dir, timing["engine"])
    facts["testing_time_s"] = time.perf_counter() - started

    predicted = read_predictions(config, testing, run_dir)
    results = evaluate_run(
        config,
        run_dir,
        predicted,
        facts,
        testing=testing,
        overlap=overlap,
        findings=[finding.as_dict() for finding in findings],
    )
    write_results(results, run_dir.metrics)
    for task, each in predicted.items():
        log.info("test: %s: %d events, %s", task, len(each.events), run_dir.metrics)
