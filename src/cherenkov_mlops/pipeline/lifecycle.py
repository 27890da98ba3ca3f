"""When a stage runs, when it refuses, and what it leaves behind."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.pipeline.attempt import Attempt
from cherenkov_mlops.pipeline.record import RunRecord, fingerprint, settings_of
from cherenkov_mlops.pipeline.resume import (
    announce,
    describe_ignored,
    describe_next,
    find_unfinished,
    fits_prepared,
    ignored_settings,
    settle,
)
from cherenkov_mlops.pipeline.stage import STAGES, ancestors, maker_of
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.training.backup import Backup

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decision:
    """What a stage would do now, and why.

    Parameters
    ----------
    action : {"run", "go on", "skip", "refuse"}
        What.
    why : str
        Why, in words.
    is_remake : bool
        Whether something complete is made again because of a change.
    """

    action: Literal["run", "go on", "skip", "refuse"]
    why: str
    is_remake: bool = False


def run_stage(
    name: str, config: RunConfig, run_dir: RunDir, *, force: bool = False, **options: Any
) -> None:
    """Run a stage unless it is complete and nothing changed.

    Parameters
    ----------
    name : str
        Name of the stage.
    config : RunConfig
        The run.
    run_dir : RunDir
        Its folder.
    force : bool
        Run it whatever its state; what was there is kept until the new output is complete.
    **options
        Options of the command line for its body, as ``attempt.options``.

    Raises
    ------
    UserError
        An earlier stage is missing or was made with other settings, or this one was and is costly
        to make again.
    """
    stage, record = STAGES[name], RunRecord.read(run_dir)
    asked = config
    starts_anew = stage.resumes and force
    backup = find_unfinished(run_dir) if stage.resumes and not force else None
    if not starts_anew:
        config = settle(config, record, backup)
    decision = decide(name, config, run_dir, record, force=force, unfinished=backup)
    if decision.action == "refuse":
        raise UserError(f"{name}: {run_dir.path}: {decision.why}")
    if decision.action == "skip":
        log.info("%s: complete and unchanged: %s", name, stage.outputs(run_dir)[0])
        return
    if decision.is_remake:
        log.info("%s: made again: %s", name, decision.why)
    goes_on = decision.action == "go on"
    attempt = Attempt(
        stage,
        config,
        run_dir,
        backup=backup if goes_on else None,
        ignored=ignored_settings(asked, config) if goes_on else {},
        options=options,
    )
    body = stage.load_body()
    with attempt:
        if goes_on:
            announce(attempt.number, backup, asked, config)
        body(config, run_dir, attempt)


def describe_plan(
    config: RunConfig, run_dir: RunDir, stages: Sequence[str], *, force: bool = False
) -> list[str]:
    """One line a stage: whether it would run, and why; nothing is written."""
    record = RunRecord.read(run_dir)
    resumes = any(STAGES[stage].resumes for stage in stages)
    unfinished = find_unfinished(run_dir) if resumes and not force else None
    kept = config if force else settle(config, record, unfinished)
    verbs = {
        "run": "would run ({})",
        "go on": "would go on with {}",
        "skip": "would do nothing ({})",
        "refuse": "would refuse ({})",
    }
    planned: list[str] = []
    lines = []
    for stage in stages:
        state = unfinished if STAGES[stage].resumes else None
        decision = decide(
            stage, kept, run_dir, record, force=force, planned=planned, unfinished=state
        )
        lines.append(f"{stage}: {verbs[decision.action].format(decision.why)}")
        if decision.action in ("run", "go on"):
            planned.append(stage)
        if decision.action == "go on" and (ignored := describe_ignored(config, kept)):
            lines.append(ignored)
    return lines


def decide(
    name: str,
    config: RunConfig,
    run_dir: RunDir,
    record: RunRecord,
    *,
    force: bool = False,
    planned: Sequence[str] = (),
    unfinished: Backup | None = None,
) -> Decision:
    """What the stage does when it is started now; ``planned`` stages run before it."""
    stage = STAGES[name]
    planned = [earlier for earlier in ancestors(name) if earlier in planned]
    if obstacle := _find_obstacle(name, config, run_dir, record, planned):
        return Decision("refuse", obstacle)
    if unfinished is not None and not force:
        if planned or not fits_prepared(unfinished, record):
            return Decision(
                "refuse",
                f"its unfinished training was started on what an earlier '{stage.after[-1]}' "
                "made; write --force to start it anew",
            )
        return Decision("go on", describe_next(unfinished, config.train.n_epochs))
    # Never complete, or made again whatever it was.
    state = record.state(name)
    if not _is_complete(name, run_dir, record):
        words = {
            None: "not run yet",
            "running": "the last attempt did not end, or is still at work",
            "interrupted": "the last attempt was interrupted",
            "stopped": "the last attempt was stopped",
        }
        return Decision("run", words.get(state, f"the last attempt {state}"))
    if force:
        return Decision("run", "--force")
    # Complete: what has changed since?
    before = record.fingerprint(name) or {}
    now = fingerprint(name, config, run_dir, record) if before else {}
    # A record of version 1 does not know which definitions it was made with.
    for key in stage.definitions().keys() - before.keys():
        now.pop(key, None)
    changes = _differences(before, now)
    again = [f"the stage '{earlier}' would run again" for earlier in planned]
    if not changes and not again:
        return Decision("skip", "complete and unchanged")
    if stage.on_change == "refuse":
        return Decision("refuse", _refusal([*changes, *again]))
    inherited = [change for change in changes if change.startswith("stage ")]
    own = [change for change in changes if change not in inherited]
    if inherited or again:
        own.append(f"what '{stage.after[-1]}' made has changed")
    return Decision("run", _shorten(own), is_remake=True)


def is_made(path: Path, run_dir: RunDir) -> bool:
    """Whether a file or folder of the run is there, and the stages that led to it are complete."""
    record, maker = RunRecord.read(run_dir), maker_of(path, run_dir)
    led = [*ancestors(maker.name), maker.name]
    return path.exists() and all(record.state(name) == "complete" for name in led)


def first_incomplete(record: RunRecord) -> str | None:
    """Name of the first stage that is not complete; None if there is none."""
    return next((name for name in STAGES if record.state(name) != "complete"), None)


def _is_complete(name: str, run_dir: RunDir, record: RunRecord) -> bool:
    return record.state(name) == "complete" and STAGES[name].outputs(run_dir)[0].exists()


def _find_obstacle(
    name: str, config: RunConfig, run_dir: RunDir, record: RunRecord, planned: Sequence[str]
) -> str:
    """Why the stage cannot start because of an earlier one; empty if it can."""
    needed = [] if STAGES[name].alone else ancestors(name)
    for earlier in (each for each in needed if each not in planned):
        if not _is_complete(earlier, run_dir, record):
            return (
                f"the stage '{earlier}' is not complete; "
                f"run first: cherenkov-mlops {earlier} CONFIG"
            )
        # Rows and models of an earlier stage fit the settings they were made with, no others.
        made_of, now = record.fingerprint(earlier) or {}, settings_of(earlier, config)
        changes = _differences({key: made_of.get(key) for key in now}, now)
        if changes:
            return f"its stage '{earlier}' {_refusal(changes)}"
    return ""


def _differences(before: dict, now: dict) -> list[str]:
    return [
        f"{key}: {json.dumps(before.get(key))} -> {json.dumps(now.get(key))}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]


def _shorten(changes: list[str]) -> str:
    return "; ".join(changes[:3]) + (f"; and {len(changes) - 3} more" if len(changes) > 3 else "")


def _refusal(changes: list[str]) -> str:
    return (
        f"was made with other settings ({_shorten(changes)}); take those back to go on with it, "
        "write --force to make it again, or give the run a new run.name"
    )
