"""When a stage runs, when it refuses, and what it leaves behind."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.pipeline.attempt import Attempt, outputs_of
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
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.training.backup import Backup

log = logging.getLogger(__name__)

STAGES = ("prepare", "train", "test", "report")

ANOTHER_PREPARE = (
    "its unfinished training was started on what an earlier 'prepare' made; write --force to start "
    "it anew"
)

Body = Callable[[RunConfig, RunDir], None]


@dataclass(frozen=True)
class Decision:
    """What a stage would do now, and why.

    Parameters
    ----------
    action : {"run", "go on", "skip", "refuse"}
        What.
    why : str
        Why, in words.
    """

    action: Literal["run", "go on", "skip", "refuse"]
    why: str


def run_stage(
    stage: str,
    config: RunConfig,
    run_dir: RunDir,
    body: Body,
    *,
    force: bool = False,
    unfinished: Backup | None = None,
) -> None:
    """Run ``body(config, run_dir)`` unless the stage is complete and nothing changed.

    Parameters
    ----------
    stage : str
        One of ``STAGES``.
    config : RunConfig
        The run.
    run_dir : RunDir
        Its folder.
    body : callable
        Does the work; writes only what ``outputs_of`` names.
    force : bool
        Run it whatever its state; what was there is kept until the new output is complete.
    unfinished : Backup, optional
        State of an earlier attempt to go on from.

    Raises
    ------
    UserError
        An earlier stage is missing or was made with other settings, or this one was.
    """
    record = RunRecord.read(run_dir)
    asked = config
    if not (stage == "train" and force):
        config = settle(config, record, unfinished)
    decision = decide(stage, config, run_dir, record, force=force, unfinished=unfinished)
    if decision.action == "refuse":
        raise UserError(f"{stage}: {run_dir.path}: {decision.why}")
    if decision.action == "skip":
        log.info("%s: complete and unchanged: %s", stage, outputs_of(stage, run_dir)[0])
        return
    goes_on = decision.action == "go on"
    ignored = ignored_settings(asked, config) if goes_on else {}
    with Attempt(stage, config, run_dir, goes_on=goes_on, ignored=ignored) as attempt:
        if goes_on:
            announce(attempt.number, unfinished, asked, config)
        body(config, run_dir)


def describe_plan(
    config: RunConfig, run_dir: RunDir, stages: Sequence[str], *, force: bool = False
) -> list[str]:
    """One line a stage: whether it would run, and why; nothing is written."""
    record = RunRecord.read(run_dir)
    unfinished = find_unfinished(run_dir) if "train" in stages and not force else None
    kept = config if force else settle(config, record, unfinished)
    planned: list[str] = []
    lines = []
    for stage in stages:
        state = unfinished if stage == "train" else None
        decision = decide(
            stage, kept, run_dir, record, force=force, planned=planned, unfinished=state
        )
        lines.append(_describe(stage, decision))
        if decision.action in ("run", "go on"):
            planned.append(stage)
        if decision.action == "go on" and (ignored := describe_ignored(config, kept)):
            lines.append(ignored)
    return lines


def _describe(stage: str, decision: Decision) -> str:
    if decision.action == "go on":
        return f"{stage}: would go on with {decision.why}"
    verbs = {"run": "would run", "skip": "would do nothing", "refuse": "would refuse"}
    return f"{stage}: {verbs[decision.action]} ({decision.why})"


def decide(
    stage: str,
    config: RunConfig,
    run_dir: RunDir,
    record: RunRecord,
    *,
    force: bool = False,
    planned: Sequence[str] = (),
    unfinished: Backup | None = None,
) -> Decision:
    """What the stage does when it is started now; ``planned`` stages run before it."""
    obstacle = _find_obstacle(stage, config, run_dir, record, planned)
    if obstacle:
        return Decision("refuse", obstacle)
    if unfinished is not None and not force:
        if planned or not fits_prepared(unfinished, record):
            return Decision("refuse", ANOTHER_PREPARE)
        return Decision("go on", describe_next(unfinished, config.train.n_epochs))
    state = record.state(stage)
    if not _is_complete(stage, run_dir, record):
        return Decision("run", "not run yet" if state is None else _describe_end(state))
    if force:
        return Decision("run", "--force")
    changes = _changes(stage, config, run_dir, record)
    changes += [f"the stage '{name}' would run again" for name in planned]
    if not changes:
        return Decision("skip", "complete and unchanged")
    if stage == "report" and set(changes) == {change for change in changes if "stage" in change}:
        # A page whose results were made again is simply made again too.
        return Decision("run", "its results were made again")
    return Decision("refuse", _refusal(changes))


def _describe_end(state: str) -> str:
    if state == "running":
        return "the last attempt did not end, or is still at work"
    return f"the last attempt {'was ' if state in ('interrupted', 'stopped') else ''}{state}"


def _is_complete(stage: str, run_dir: RunDir, record: RunRecord) -> bool:
    return record.state(stage) == "complete" and outputs_of(stage, run_dir)[0].exists()


def _find_obstacle(
    stage: str, config: RunConfig, run_dir: RunDir, record: RunRecord, planned: Sequence[str]
) -> str:
    """Why the stage cannot start because of an earlier one; empty if it can."""
    # A report needs metrics.json only, wherever that came from.
    needed = [] if stage == "report" else STAGES[: STAGES.index(stage)]
    for earlier in (name for name in needed if name not in planned):
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


def _changes(stage: str, config: RunConfig, run_dir: RunDir, record: RunRecord) -> list[str]:
    """What differs from the settings and inputs the stage was completed with, in words."""
    before = record.fingerprint(stage)
    if before is None:
        return []
    return _differences(before, fingerprint(stage, config, run_dir, record))


def _differences(before: dict, now: dict) -> list[str]:
    return [
        f"{key}: {json.dumps(before.get(key))} -> {json.dumps(now.get(key))}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]


def _refusal(changes: list[str]) -> str:
    shown = "; ".join(changes[:3]) + (f"; and {len(changes) - 3} more" if len(changes) > 3 else "")
    return (
        f"was made with other settings ({shown}); take those back to go on with it, write --force "
        "to make it again, or give the run a new run.name"
    )
