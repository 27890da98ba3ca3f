"""The training of a run: prepared model and manifest in, trained model and history out."""

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import rich
import tensorflow as tf

from cherenkov_mlops.compression.pruning.filters import shrink
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.manifest import Manifest
from cherenkov_mlops.dl1.pixel_cache import pixel_cache
from cherenkov_mlops.models.builder import load_custom_code, load_model_file
from cherenkov_mlops.models.ctlearn_options import base_traits, tool_traits
from cherenkov_mlops.models.guest_tool import run_tool, save_tool_config
from cherenkov_mlops.run_dir import RunDir, atomic_path
from cherenkov_mlops.training.backup import Backup
from cherenkov_mlops.training.stopping import describe_stop
from cherenkov_mlops.training.time_limit import TimeLimit
from cherenkov_mlops.training.trainer import TrainTool

log = logging.getLogger(__name__)

PASSED_ON = ("n_epochs", "batch_size", "save_best_validation_only", "mixed_precision", "xla")
SECTIONS = ("optimizer", "lr_reducing", "early_stopping")


def train_model(
    config: RunConfig,
    manifest: Manifest,
    run_dir: RunDir,
    *,
    made_of: dict[str, Any],
    backup: Backup | None = None,
    limit: TimeLimit | None = None,
) -> dict[str, Any]:
    """Facts about the training; model, history and logs are in ``train/`` afterwards.

    Parameters
    ----------
    config, manifest, run_dir : RunConfig, Manifest, RunDir
        The run.
    made_of : dict
        Settings and input of the training, kept with its state.
    backup : Backup, optional
        State to go on from.
    limit : TimeLimit, optional
        When the training has to be over.

    Raises
    ------
    DataError
        The loss becomes NaN, or pixel values are.
    TimeLimitReached
        The time is up, or the batch system asked for an end.
    """
    load_custom_code(config, run_dir)
    run_dir.train_dir.mkdir(parents=True, exist_ok=True)
    tool = TrainTool(
        run_dir,
        manifest,
        made_of=made_of,
        backup=backup,
        limit=limit,
        cache=pixel_cache(config, run_dir),
        pruning=config.pruning,
        quantization=config.quantization,
        keep_zeros=config.model.type == "loaded",
        show_progress=rich.get_console().is_terminal,
        config=tool_traits(
            "TrainCTLearnModel",
            _tool_options(config, manifest, run_dir),
            base_traits(config, manifest.inputs.telescopes),
            run_dir.logs / "train.ctlearn.log",
        ),
    )
    _run(tool)
    if config.pruning is not None and config.pruning.kind == "filters":
        _take_out_filters(run_dir.trained_model)
    save_tool_config(tool, run_dir.tool_config("train"))
    return _facts(config, manifest, tool)


def _run(tool: TrainTool) -> None:
    try:
        run_tool(tool)
    except KeyboardInterrupt as error:
        state = getattr(tool, "state", None)
        n_done = state.n_epochs_done if state else 0
        raise KeyboardInterrupt(describe_stop("interrupted", n_done, tool.n_epochs)) from error
    finally:
        with suppress(AttributeError):
            tool.dl1dh_reader.close_files()


def _take_out_filters(path: Path) -> None:
    """Replace a trained model by the smaller one without its filters of zeros.

    Once it is smaller, nothing changes any more: an interruption before or after does no harm.
    """
    model = load_model_file(path)
    smaller = shrink(model)
    with atomic_path(path) as temporary:
        smaller.save(temporary)
    before, after = model.count_params(), smaller.count_params()
    log.info("train: filters of zeros taken out: %d of %d weights are left", after, before)


def _tool_options(config: RunConfig, manifest: Manifest, run_dir: RunDir) -> dict[str, Any]:
    options = {name: getattr(config.train, name) for name in PASSED_ON}
    for name in SECTIONS:
        section = getattr(config.train, name)
        options[name] = None if section is None else section.model_dump()
    return options | {
        "output_dir": str(run_dir.train_dir),
        "reader": config.data.reader,
        "signal_files": [str(path) for path in manifest.inputs.paths("signal")],
        "background_files": [str(path) for path in manifest.inputs.paths("background")],
        "prepared_model": str(run_dir.untrained_model),
        "percentage_per_epoch": config.sampling.percentage_per_epoch,
        "balance": config.sampling.balance,
        "reco_tasks": config.own_tasks,
        "stack_telescope_images": config.data.stack_telescope_images,
        "sort_by_intensity": config.data.sort_by_intensity,
        "random_seed": config.run.seed,
    }


def _facts(config: RunConfig, manifest: Manifest, tool: TrainTool) -> dict[str, Any]:
    history = tool.history.rows
    # Without a best one the training ended before its pruning did.
    best = tool.best_model.best_epoch if config.train.save_best_validation_only else None
    best = best or len(history)
    return {
        "scheduled_epochs": config.train.n_epochs,
        "effective_epochs": len(history),
        "best_epoch": best,
        "best_val_loss": float(history[best - 1]["val_loss"]),
        "batch_size": config.train.batch_size,
        "n_training_events": len(manifest.training_rows),
        "n_validation_events": len(manifest.validation_rows),
        "share_never_seen": tool.training_loader.share_never_seen,
        "training_time_s": tool.state.seconds,
        "attempt_epochs": tool.state.attempts,
        "gpus": [device.name for device in tf.config.list_physical_devices("GPU")],
    }
