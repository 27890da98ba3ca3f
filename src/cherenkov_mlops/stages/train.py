"""``train``: fit the prepared model to the prepared data."""

import logging
import time

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.manifest import check_unchanged, read_manifest
from cherenkov_mlops.dl1.training_data import TrainingData
from cherenkov_mlops.models.base import model_type_of
from cherenkov_mlops.pipeline.attempt import Attempt
from cherenkov_mlops.pipeline.lifecycle import run_stage
from cherenkov_mlops.run_dir import RunDir, write_json_atomically, write_text_atomically
from cherenkov_mlops.training.time_limit import TimeLimit

log = logging.getLogger(__name__)


def run(
    config: RunConfig, run_dir: RunDir, *, force: bool = False, deadline: float | None = None
) -> None:
    """Run the stage unless it is complete and unchanged; see `train` and `run_stage`."""
    run_stage("train", config, run_dir, force=force, deadline=deadline)


def train(config: RunConfig, run_dir: RunDir, attempt: Attempt) -> None:
    """Write ``train/``: the best model, its history and TensorBoard logs.

    An unfinished training goes on from its last complete epoch, with the options that it was
    started with. The option ``deadline`` is the time when it has to be over, in seconds since
    1970.

    Raises
    ------
    DataError
        Files changed since ``prepare``, pixel values are NaN, or the loss becomes NaN.
    TimeLimitReached
        The time is up, or the batch system asked for an end.
    """
    manifest = read_manifest(run_dir)
    check_unchanged(manifest.inputs)
    data = TrainingData(config, manifest, TimeLimit(attempt.options.get("deadline")))
    model = model_type_of(config).load(config, run_dir, run_dir.prepare_dir)
    started = time.perf_counter()
    facts = model.fit(data, run_dir, attempt)
    if not run_dir.history.exists():
        # A model that learns in one go has one epoch, so that pages need not tell it apart.
        row = {"epoch": 1, "loss": facts.pop("loss"), "val_loss": facts.pop("val_loss")}
        text = f"{','.join(row)}\n{','.join(map(str, row.values()))}\n"
        write_text_atomically(run_dir.history, text)
        facts = {
            "scheduled_epochs": 1,
            "effective_epochs": 1,
            "best_epoch": 1,
            "best_val_loss": row["val_loss"],
            "n_training_events": len(manifest.training_rows),
            "n_validation_events": len(manifest.validation_rows),
            "training_time_s": time.perf_counter() - started,
        } | facts
        model.save(run_dir.train_dir)
    write_json_atomically(run_dir.training_record, facts)
    log.info(
        "train: best epoch %d of %d with val_loss %.4f: %s",
        facts["best_epoch"],
        facts["effective_epochs"],
        facts["best_val_loss"],
        run_dir.train_dir,
    )
