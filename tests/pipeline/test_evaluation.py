"""From DL2 files and facts to results."""

from dataclasses import replace

from cherenkov_mlops.pipeline.evaluation import evaluate_run
from cherenkov_mlops.pipeline.predictions import load_predictions
from cherenkov_mlops.results import read_results


def test_the_resumed_epoch_is_drawn_and_no_fact(completed_runs):
    config, run_dir = completed_runs["energy"]
    predictions = load_predictions(run_dir)
    assert predictions.facts["attempt_epochs"] == [1]
    for attempts in ([1], [1, 2]):
        facts = predictions.facts | {"attempt_epochs": attempts}
        results = evaluate_run(config, run_dir, replace(predictions, facts=facts))
        assert results.training.attempts == attempts
        assert results.figures["loss"]["attempts"] == attempts[1:]
        assert "attempt_epochs" not in results.facts
    # What the stage wrote.
    written = read_results(run_dir.metrics).tasks["energy"]
    again = results.tasks["energy"]
    for section in ("test", "n_invalid", "test_digest", "metrics", "replicates", "predictions"):
        assert getattr(again, section) == getattr(written, section)
