"""``train``: fit the prepared model to the prepared data."""

import logging

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.manifest import check_unchanged, read_manifest
from cherenkov_mlops.pipeline.attempt import Attempt
from cherenkov_mlops.pipeline.lifecycle import run_stage
from cherenkov_mlops.run_dir import RunDir, write_json_atomically
from cherenkov_mlops.training.time_limit import TimeLimit
from cherenkov_mlops.training.train_run import train_model

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
    facts = train_model(
        config,
        manifest,
        run_dir,
        made_of=attempt.made_of,
        backup=attempt.backup,
        limit=TimeLimit(attempt.options.get("deadline")),
    )
    write_json_atomically(run_dir.training_record, facts)
    log.info(
        "train: best epoch %d of %d with val_loss %.4f: %s",
        facts["best_epoch"],
        facts["effective_epochs"],
        facts["best_val_loss"],
        run_dir.trained_model,
    )
