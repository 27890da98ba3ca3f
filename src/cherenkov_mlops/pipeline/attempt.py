"""One attempt at a stage: recorded, logged, alone in its folder, cleaned up after if it fails."""

import errno
import fcntl
import logging
import os
import shutil
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.errors import DataError, TimeLimitReached, UserError
from cherenkov_mlops.pipeline.record import RunRecord, fingerprint
from cherenkov_mlops.pipeline.stage import Stage
from cherenkov_mlops.provenance import timestamp
from cherenkov_mlops.run_dir import RunDir, remove_temporary_files
from cherenkov_mlops.training.backup import Backup

log = logging.getLogger(__name__)

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
ALMOST_FULL_BYTES = 64 * 1024
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Attempt:
    """Context in which a stage works.

    Output of an earlier attempt is set aside and comes back if this one fails or is killed. A
    training that ends after its first epoch, however it ends, keeps its files where they are, and
    the next attempt goes on with them.

    Parameters
    ----------
    stage, config, run_dir : Stage, RunConfig, RunDir
        What is attempted.
    backup : Backup, optional
        State that an earlier attempt left and this one goes on from; its output stays in place.
    ignored : dict, optional
        Options that are asked for but come too late.
    options : dict, optional
        Options of the command line, for the body of the stage.

    Raises
    ------
    UserError
        Another process works on the run.
    DataError
        The disk is full.
    """

    def __init__(
        self,
        stage: Stage,
        config: RunConfig,
        run_dir: RunDir,
        *,
        backup: Backup | None = None,
        ignored: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
    ):
        self.stage, self.config, self.run_dir = stage, config, run_dir
        self.backup, self.ignored, self.options = backup, ignored or {}, options or {}
        self.number = 0
        self.outputs = stage.outputs(run_dir)
        self.is_new_run = not run_dir.path.exists()
        self._handler: logging.Handler | None = None
        self._lock: TextIO | None = None
        self._came_back: str | None = None

    def __enter__(self) -> "Attempt":
        self.record = RunRecord.read(self.run_dir)
        # Taken before the work: an input that changes meanwhile is noticed the next time. Before
        # any file is written, too: a missing input must leave nothing behind.
        self.made_of = fingerprint(self.stage.name, self.config, self.run_dir, self.record)
        run_dir = self.run_dir
        with ExitStack() as stack:
            stack.push(self.__exit__)
            run_dir.logs.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(run_dir)
            if RunRecord.read(run_dir).content != self.record.content:
                # What was decided, was decided on a record that another process has changed.
                self._close()
                self._lock = None
                raise UserError(
                    f"{run_dir.path}: another process has just worked on this run; give the same "
                    "command again"
                )
            self._handler = logging.FileHandler(
                run_dir.logs / f"{self.stage.name}.log", encoding="utf-8"
            )
            self._handler.setFormatter(logging.Formatter(LOG_FORMAT))
            logging.getLogger("cherenkov_mlops").addHandler(self._handler)
            for folder in (run_dir.path, run_dir.logs, run_dir.train_dir, run_dir.backup.parent):
                remove_temporary_files(folder)
            self.config.write_to(run_dir)
            # In this order: as long as the record says that the stage is complete, its output
            # is whole, here or aside.
            if self.backup is None:
                self._set_aside()
            self.number = self.record.start(self.stage.name, self.config)
            stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        full = error is not None and self._disk_is_full(error)
        try:
            if error is None:
                self._succeed()
            elif self._lock is not None:
                self._fail(error, full)
        finally:
            self._close()
        if full:
            raise DataError(
                f"{self.stage.name}: the disk of {self.run_dir.path} is full; free some space or "
                "choose another run.dir, then give the same command again"
            ) from error

    def _set_aside(self) -> None:
        was_complete = self.record.state(self.stage.name) == "complete"
        for output in self.outputs:
            is_whole = was_complete or self._is_to_be_gone_on_with(output)
            if _aside(output).exists() or not is_whole:
                # Left by a kill: what was set aside is whole, what stands in its place is not.
                _remove(output)
            elif output.exists():
                output.rename(_aside(output))

    def _is_to_be_gone_on_with(self, output: Path) -> bool:
        return self.stage.resumes and (output / self.run_dir.backup.parent.name).exists()

    def _succeed(self) -> None:
        for output in self.outputs:
            _remove(_aside(output))
        self.record.complete(self.stage.name, self.made_of, self.ignored)
        if self.stage.resumes:
            _remove(self.run_dir.backup.parent)

    def _fail(self, error: BaseException, full: bool) -> None:
        keeps = self.stage.resumes and self.run_dir.backup.exists()
        if not keeps:
            self._bring_back()
        is_limit = isinstance(error, TimeLimitReached)
        asked = isinstance(error, KeyboardInterrupt)
        forget = isinstance(error, UserError | OSError) or full or asked or is_limit
        if self.is_new_run and forget and not keeps:
            shutil.rmtree(self.run_dir.path, ignore_errors=True)
        elif self.number:
            state = "stopped" if is_limit else "interrupted" if asked else "failed"
            with suppress(OSError):
                self.record.end(self.stage.name, state, error, came_back=self._came_back)

    def _bring_back(self) -> None:
        for output in self.outputs:
            if self.number:
                _remove(output)
            if _aside(output).exists():
                _remove(output)
                unfinished = self._is_to_be_gone_on_with(_aside(output))
                self._came_back = "interrupted" if unfinished else "complete"
                _aside(output).rename(output)

    def _disk_is_full(self, error: BaseException) -> bool:
        if isinstance(error, UserError | KeyboardInterrupt | TimeLimitReached):
            return False
        if getattr(error, "errno", None) in FULL_DISK:
            return True
        folder = next(
            path for path in [self.run_dir.path, *self.run_dir.path.parents] if path.exists()
        )
        # HDF5 and TensorFlow hide the error number: look at the disk instead.
        return shutil.disk_usage(folder).free < ALMOST_FULL_BYTES

    def _close(self) -> None:
        if self._handler is not None:
            logging.getLogger("cherenkov_mlops").removeHandler(self._handler)
            # What a full disk did not take when written, it does not take now either.
            with suppress(OSError):
                self._handler.close()
        if self._lock is not None:
            self._lock.close()


def _lock(run_dir: RunDir) -> TextIO:
    """Open lock file of the run; held until it is closed, by a kill too."""
    stream = run_dir.lock.open("a+", encoding="utf-8")
    try:
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        stream.seek(0)
        owner = stream.read().strip() or "another process"
        stream.close()
        raise UserError(f"{run_dir.path}: {owner} works on this run; wait for it") from error
    except OSError:
        # A file system without locks: go on as if alone.
        return stream
    stream.truncate(0)
    stream.write(f"process {os.getpid()} on {socket.gethostname()}, since {timestamp()},")
    stream.flush()
    return stream


def _aside(output: Path) -> Path:
    return output.with_name(f".{output.name}.previous")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
