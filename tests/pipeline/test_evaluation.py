"""From DL2 files and facts to results."""

import json

from cherenkov_mlops.data.inputs import inspect_inputs
from cherenkov_mlops.data.manifest import read_manifest
from cherenkov_mlops.pipeline.evaluation import evaluate_run, read_predictions
from cherenkov_mlops.results import read_results


def test_the_resumed_epoch_is_drawn_and_no_fact(completed_runs):
    config, run_dir = completed_runs["energy"]
    testing = inspect_inputs(config, "test", read_manifest(run_dir).inputs)
    predicted = read_predictions(config, testing, run_dir)
    facts = json.loads(run_dir.training_record.read_text(encoding="utf-8"))
    assert facts["attempt_epochs"] == [1]
    for attempts in ([1], [1, 2]):
        results = evaluate_run(config, run_dir, predicted, facts | {"attempt_epochs": attempts})
        assert results.training.attempts == attempts
        assert results.figures["loss"]["attempts"] == attempts[1:]
        assert "attempt_epochs" not in results.facts
    # What the stage wrote, apart from what needs the model or the images.
    written = read_results(run_dir.metrics).tasks["energy"]
    again = results.tasks["energy"]
    for section in ("test", "n_invalid", "test_digest", "metrics", "replicates"):
        assert getattr(again, section) == getattr(written, section)
