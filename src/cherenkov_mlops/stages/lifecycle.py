"""When a stage runs, when it refuses, and what it leaves behind."""

import errno
import json
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.errors import DataError, UserError
from cherenkov_mlops.provenance import timestamp
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages.record import RunRecord, fingerprint

log = logging.getLogger(__name__)

STAGES = ("prepare", "train", "test", "report")
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

Body = Callable[[RunConfig, RunDir], None]


def outputs_of(stage: str, run_dir: RunDir) -> list[Path]:
    """Files and folders that the stage makes; the first one is there if the stage is complete."""
    return {
        "prepare": [run_dir.path / "prepare"],
        "train": [run_dir.train_dir],
        "test": [run_dir.metrics, run_dir.test_dir],
        "report": [run_dir.report],
    }[stage]


def run_stage(
    stage: str, config: RunConfig, run_dir: RunDir, body: Body, *, force: bool = False
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

    Raises
    ------
    UserError
        An earlier stage is missing, or the stage is complete but was made with other settings.
    """
    record = RunRecord.read(run_dir)
    _require_earlier_stages(stage, run_dir, record)
    changes = _changes(stage, config, run_dir, record)
    complete = _is_complete(stage, run_dir, record)
    if complete and not changes and not force:
        log.info("%s: complete and unchanged: %s", stage, outputs_of(stage, run_dir)[0])
        return
    if complete and changes and not force and not _is_cheap_update(stage, changes):
        raise UserError(_refusal(stage, run_dir, changes))
    with Attempt(stage, config, run_dir):
        body(config, run_dir)


def describe_plan(config: RunConfig, run_dir: RunDir, stages: Sequence[str]) -> list[str]:
    """One line a stage: whether it would run, and why; nothing is written."""
    record = RunRecord.read(run_dir)
    lines, upstream_runs = [], False
    for stage in stages:
        if not _is_complete(stage, run_dir, record):
            state = record.state(stage)
            why = "not run yet" if state is None else f"the last attempt is '{state}'"
            lines.append(f"{stage}: would run ({why})")
            upstream_runs = True
        elif upstream_runs or (changes := _changes(stage, config, run_dir, record)):
            why = "an earlier stage would run" if upstream_runs else "; ".join(changes)
            lines.append(f"{stage}: complete, but {why}; would refuse without --force")
        else:
            lines.append(f"{stage}: complete and unchanged; would do nothing")
    return lines


def _is_complete(stage: str, run_dir: RunDir, record: RunRecord) -> bool:
    return record.state(stage) == "complete" and outputs_of(stage, run_dir)[0].exists()


def _require_earlier_stages(stage: str, run_dir: RunDir, record: RunRecord) -> None:
    # A report needs metrics.json only, wherever that came from.
    needed = [] if stage == "report" else STAGES[: STAGES.index(stage)]
    for earlier in needed:
        if not _is_complete(earlier, run_dir, record):
            raise UserError(
                f"{stage}: {run_dir.path}: the stage '{earlier}' is not complete; "
                f"run first: cherenkov-mlops {earlier} CONFIG"
            )


def _changes(stage: str, config: RunConfig, run_dir: RunDir, record: RunRecord) -> list[str]:
    """What differs from the settings and inputs the stage was completed with, in words."""
    before = record.fingerprint(stage)
    if before is None:
        return []
    now = fingerprint(stage, config, run_dir, record)
    keys = sorted(before.keys() | now.keys())
    return [
        f"{key}: {json.dumps(before.get(key))} -> {json.dumps(now.get(key))}"
        for key in keys
        if before.get(key) != now.get(key)
    ]


def _is_cheap_update(stage: str, changes: list[str]) -> bool:
    """A page whose results were made again is simply made again too."""
    return stage == "report" and all(change.startswith("stage ") for change in changes)


def _refusal(stage: str, run_dir: RunDir, changes: list[str]) -> str:
    shown = "; ".join(changes[:3]) + (f"; and {len(changes) - 3} more" if len(changes) > 3 else "")
    return (
        f"{stage}: {run_dir.path} was made with other settings ({shown}); take those back to go on "
        f"with it, write --force to make it again, or give the run a new run.name"
    )


class Attempt:
    """One attempt at a stage: recorded, logged to a file, and cleaned up after if it fails.

    Output of an earlier attempt is set aside while this one works and comes back if it fails. A
    training that is stopped after its first epoch keeps its files in ``train.attempt<N>``.
    """

    def __init__(self, stage: str, config: RunConfig, run_dir: RunDir):
        self.stage, self.config, self.run_dir = stage, config, run_dir
        self.outputs = outputs_of(stage, run_dir)
        self.is_new_run = not run_dir.path.exists()

    def __enter__(self) -> "Attempt":
        self.record = RunRecord.read(self.run_dir)
        # Taken before the work: an input that changes meanwhile is noticed the next time. Before
        # any file is written, too: a missing input must leave nothing behind.
        self.made_of = fingerprint(self.stage, self.config, self.run_dir, self.record)
        self.run_dir.logs.mkdir(parents=True, exist_ok=True)
        self._open_log()
        self.config.write_to(self.run_dir)
        self.number = self.record.start(self.stage, self.config)
        for output in self.outputs:
            if output.exists():
                _remove(_aside(output))
                output.rename(_aside(output))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._succeed()
            else:
                self._fail(error)
        finally:
            logging.getLogger("cherenkov_mlops").removeHandler(self._handler)
            self._handler.close()
        if error is not None and self._disk_is_full(error):
            raise DataError(
                f"{self.stage}: the disk of {self.run_dir.path} is full; free some space or "
                "choose another run.dir, then give the same command again"
            ) from error

    def _succeed(self) -> None:
        for output in self.outputs:
            _remove(_aside(output))
        self.record.end(self.stage, "complete", made_of=self.made_of)

    def _fail(self, error: BaseException) -> None:
        interrupted = isinstance(error, KeyboardInterrupt)
        if self.stage == "train" and (self.run_dir.trained_model).exists() and interrupted:
            kept = self.run_dir.path / f"train.attempt{self.number}"
            _remove(kept)
            self.run_dir.train_dir.rename(kept)
            log.info("train: what was learnt so far is kept in %s", kept)
        for output in self.outputs:
            _remove(output)
            if _aside(output).exists():
                _aside(output).rename(output)
        if self.is_new_run and isinstance(error, (UserError, OSError)):
            shutil.rmtree(self.run_dir.path, ignore_errors=True)
        elif not self._disk_is_full(error):
            self.record.end(self.stage, "interrupted" if interrupted else "failed", error=error)

    def _disk_is_full(self, error: BaseException) -> bool:
        if isinstance(error, UserError):
            return False
        number = getattr(error, "errno", None)
        folder = self.run_dir.path if self.run_dir.path.exists() else self.run_dir.path.parent
        # HDF5 and TensorFlow hide the error number: look at the disk instead.
        return number in FULL_DISK or shutil.disk_usage(folder).free < 64 * 1024

    def _open_log(self) -> None:
        path = self.run_dir.logs / f"{self.stage}.log"
        self._handler = logging.FileHandler(path, encoding="utf-8")
        self._handler.setFormatter(logging.Formatter(LOG_FORMAT))
        logging.getLogger("cherenkov_mlops").addHandler(self._handler)
        log.debug("%s: started %s", self.stage, timestamp())


def _aside(output: Path) -> Path:
    return output.with_name(f".{output.name}.previous")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
