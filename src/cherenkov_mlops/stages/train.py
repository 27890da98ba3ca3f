"""``train``: fit the prepared model to the prepared data."""

import logging

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.manifest import check_unchanged, read_manifest
from cherenkov_mlops.engine.training import train_model
from cherenkov_mlops.run_dir import RunDir, write_json_atomically
from cherenkov_mlops.stages.lifecycle import run_stage

log = logging.getLogger(__name__)


def run(config: RunConfig, run_dir: RunDir, *, force: bool = False) -> None:
    """Write ``train/``: the best model, its history and TensorBoard logs.

    Raises
    ------
    UserError
        ``prepare`` is not complete, or the training was done with other settings.
    DataError
        Files changed since ``prepare``, pixel values are NaN, or the loss becomes NaN.
    """
    run_stage("train", config, run_dir, _train, force=force)


def _train(config: RunConfig, run_dir: RunDir) -> None:
    manifest = read_manifest(run_dir)
    check_unchanged(manifest.inputs)
    facts = train_model(config, manifest, run_dir)
    write_json_atomically(run_dir.training_record, facts)
    log.info(
        "train: best epoch %d of %d with val_loss %.4f: %s",
        facts["best_epoch"],
        facts["effective_epochs"],
        facts["best_val_loss"],
        run_dir.trained_model,
    )
