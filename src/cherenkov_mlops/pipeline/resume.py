"""An unfinished training: what it was started with, and how it goes on."""

import json
import logging
from typing import Any

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.pipeline.record import RunRecord, settings_of
from cherenkov_mlops.pipeline.stage import STAGES, Stage
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.training.backup import Backup, read_backup

log = logging.getLogger(__name__)

# A training may always be made longer, or end with what is there.
MAY_CHANGE = ("train.n_epochs",)


def resuming_stage() -> Stage:
    """The stage that goes on where an earlier attempt ended: that of the training."""
    return next(stage for stage in STAGES.values() if stage.resumes)


def find_unfinished(run_dir: RunDir) -> Backup | None:
    """State of a training that was interrupted; None if there is nothing to go on from."""
    if RunRecord.read(run_dir).state(resuming_stage().name) == "complete":
        return None
    return read_backup(run_dir.backup)


def fits_prepared(backup: Backup, record: RunRecord) -> bool:
    """Whether the training was started on what the stages before it made last."""
    return all(
        backup.made_of.get(f"stage {before}") == record.completion(before)
        for before in resuming_stage().after
    )


def settle(config: RunConfig, record: RunRecord, unfinished: Backup | None) -> RunConfig:
    """The configuration with the options that the training has in fact.

    That of an unfinished training keeps those it was started with; that of a complete one, if
    the configuration still asks for what was ignored then.
    """
    if unfinished is not None:
        return _with_settings(config, unfinished.made_of)
    name = resuming_stage().name
    now, ignored = settings_of(name, config), record.ignored(name)
    if ignored and all(now.get(key) == value for key, value in ignored.items()):
        return _with_settings(config, record.fingerprint(name) or {})
    return config


def _with_settings(config: RunConfig, made_of: dict[str, Any]) -> RunConfig:
    content = config.dump()
    for key in settings_of(resuming_stage().name, config).keys() - MAY_CHANGE:
        *above, last = key.split(".")
        section = content
        for part in above:
            section = section[part]
        section.pop(last, None)
    for key, value in made_of.items():
        # Beside options there are the marks of files and stages, whose names hold a blank.
        if " " in key or key in MAY_CHANGE:
            continue
        *above, last = key.split(".")
        section = content
        for part in above:
            if not isinstance(section.get(part), dict):
                section[part] = {}
            section = section[part]
        section[last] = value
    kept = RunConfig.model_validate(content)
    # A copy, for it knows its file and the places of its keys.
    return config.model_copy(update={name: getattr(kept, name) for name in RunConfig.model_fields})


def ignored_settings(asked: RunConfig, kept: RunConfig) -> dict[str, Any]:
    """Values that are asked for but not used, by dotted key; None for what is not asked for."""
    now, before = (settings_of(resuming_stage().name, each) for each in (asked, kept))
    keys = sorted(now.keys() | before.keys())
    return {key: now.get(key) for key in keys if now.get(key) != before.get(key)}


def describe_ignored(asked: RunConfig, kept: RunConfig) -> str:
    """One line about the options that cannot take effect any more; empty if there is none."""
    name = resuming_stage().name
    before = settings_of(name, kept)
    changes = [
        f"{key}: {json.dumps(before.get(key))} (now {json.dumps(value)})"
        for key, value in ignored_settings(asked, kept).items()
    ]
    if not changes:
        return ""
    return (
        f"{name}: ignored, because the training was started with other values: "
        f"{', '.join(changes)}; --force starts anew"
    )


def describe_next(backup: Backup, n_epochs: int) -> str:
    """Where the training goes on, such as ``epoch 14 of 30``."""
    if backup.is_over or backup.n_epochs_done >= n_epochs:
        return f"all {backup.n_epochs_done} epochs done"
    return f"epoch {backup.n_epochs_done + 1} of {n_epochs}"


def announce(number: int, backup: Backup, asked: RunConfig, kept: RunConfig) -> None:
    """Log which attempt this is, where it goes on, and what it ignores."""
    best = backup.best_val_loss
    log.info(
        "%s: attempt %d, %s, %s",
        *(resuming_stage().name, number, describe_next(backup, kept.train.n_epochs)),
        "not yet as sparse as asked for" if best is None else f"best {best:.4f} kept",
    )
    if ignored := describe_ignored(asked, kept):
        log.info(ignored)
