"""``train``: fit the prepared model to the prepared data."""

import logging
from functools import partial

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.manifest import check_unchanged, read_manifest
from cherenkov_mlops.pipeline.lifecycle import run_stage
from cherenkov_mlops.pipeline.record import RunRecord, fingerprint
from cherenkov_mlops.pipeline.resume import find_unfinished
from cherenkov_mlops.run_dir import RunDir, write_json_atomically
from cherenkov_mlops.training.backup import Backup
from cherenkov_mlops.training.time_limit import TimeLimit
from cherenkov_mlops.training.train_run import train_model

log = logging.getLogger(__name__)


def run(
    config: RunConfig, run_dir: RunDir, *, force: bool = False, deadline: float | None = None
) -> None:
    """Write ``train/``: the best model, its history and TensorBoard logs.

    An unfinished training goes on from its last complete epoch, with the options that it was
    started with.

    Parameters
    ----------
    config, run_dir : RunConfig, RunDir
        The run.
    force : bool
        Start anew.
    deadline : float, optional
        Time when the training has to be over, in seconds since 1970.

    Raises
    ------
    UserError
        ``prepare`` is not complete, or the training was done with other settings.
    DataError
        Files changed since ``prepare``, pixel values are NaN, or the loss becomes NaN.
    TimeLimitReached
        The time is up, or the batch system asked for an end.
    """
    backup = None if force else find_unfinished(run_dir)
    body = partial(_train, backup=backup, limit=TimeLimit(deadline))
    run_stage("train", config, run_dir, body, force=force, unfinished=backup)


def _train(config: RunConfig, run_dir: RunDir, *, backup: Backup | None, limit: TimeLimit) -> None:
    manifest = read_manifest(run_dir)
    check_unchanged(manifest.inputs)
    made_of = fingerprint("train", config, run_dir, RunRecord.read(run_dir))
    facts = train_model(config, manifest, run_dir, made_of=made_of, backup=backup, limit=limit)
    write_json_atomically(run_dir.training_record, facts)
    log.info(
        "train: best epoch %d of %d with val_loss %.4f: %s",
        facts["best_epoch"],
        facts["effective_epochs"],
        facts["best_val_loss"],
        run_dir.trained_model,
    )
