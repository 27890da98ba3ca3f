"""``sweep``: the runs of a sweep file, side by side on this machine, and a page about all."""

import logging
import os
import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import rich
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.config.text import to_yaml
from cherenkov_mlops.data.files import files_of
from cherenkov_mlops.errors import DataError, SweepFailed
from cherenkov_mlops.pipeline.lifecycle import decide
from cherenkov_mlops.pipeline.record import RunRecord
from cherenkov_mlops.pipeline.stage import maker_of, up_to
from cherenkov_mlops.provenance import timestamp
from cherenkov_mlops.run_dir import RunDir, write_json_atomically, write_text_atomically
from cherenkov_mlops.sweep.pages import write_pages
from cherenkov_mlops.sweep.plan import Sweep
from cherenkov_mlops.sweep.processes import Ended, Job, Processes

log = logging.getLogger(__name__)

#: A training that was asked to stop ends its batch, saves its state and says so (EX_TEMPFAIL).
_EXIT_STOPPED = 75
#: Last lines of a run's log that are looked through for what went wrong.
_LAST_BYTES = 4000


def run(sweep: Sweep, n_lanes: int = 1) -> None:
    """Run what is not complete, ``n_lanes`` at a time; then write the page about all runs.

    Parameters
    ----------
    sweep : Sweep
        The runs, all of them checked.
    n_lanes : int
        Runs side by side; they share the cores.

    Raises
    ------
    DataError
        Data files of a run are missing.
    SweepFailed
        Some runs failed; the message has the command that repeats each.
    """
    write_configs(sweep)
    todo = [config for config in sweep.runs if not is_complete(config, last_stage(sweep))]
    n_done = len(sweep.runs) - len(todo)
    log.info("sweep: %d runs, %d complete: %s", len(sweep.runs), n_done, sweep.folder)
    # Noted after each run: what became of them is known also when the sweep is cut off.
    state = {config.run.name: {"state": "complete"} for config in sweep.runs if config not in todo}
    failed = []
    for ended in run_side_by_side(sweep, todo, n_lanes):
        state[ended.job.name] = {
            "state": {0: "complete", _EXIT_STOPPED: "stopped"}.get(ended.code, "failed"),
            "exit_code": ended.code,
            "seconds": round(ended.seconds, 1),
            "ended": timestamp(),
            "command": _command(ended.job),
        }
        write_state(sweep, state)
        if ended.code:
            reason = _last_error(ended.job.log) or f"exit code {ended.code}"
            repeat = _command(ended.job)
            failed.append(f"{ended.job.name}: {reason}; log: {ended.job.log}; to repeat: {repeat}")
    write_state(sweep, state)
    write_pages(sweep)
    if failed:
        raise SweepFailed(failed)


def run_side_by_side(sweep: Sweep, runs: Sequence[RunConfig], n_lanes: int) -> Iterator[Ended]:
    """Run ``n_lanes`` at a time, and yield each as it ends; told on the terminal, too."""
    processes = Processes(min(n_lanes, max(len(runs), 1)))
    with Progress(len(runs)) as progress:
        for ended in processes.run([_job(sweep, config) for config in runs]):
            progress.show(processes.names)
            if ended is not None:
                progress.tell(ended, _last_error(ended.job.log) if ended.code else "")
                yield ended


def write_configs(sweep: Sweep) -> None:
    """Write the YAML file of each run; ``DataError`` before any if data files are missing."""
    # Written also for what is complete: each run can be repeated from its file alone.
    check_files(sweep)
    for config in sweep.runs:
        write_text_atomically(config_path(sweep, config), to_yaml(config.dump()))


def describe_sweep(sweep: Sweep, n_lanes: int) -> Iterator[str]:
    """Say what would be done, one line a run; nothing is written."""
    yield f"{len(sweep.runs)} runs, {n_lanes} at a time, in {sweep.folder}"
    for config in sweep.runs:
        done = is_complete(config, last_stage(sweep))
        yield f"{config.run.name}: {'complete and unchanged' if done else 'would run'}"


def config_path(sweep: Sweep, config: RunConfig) -> Path:
    """The YAML file of one run, complete in itself."""
    return sweep.folder / "configs" / f"{config.run.name}.yaml"


def last_stage(sweep: Sweep) -> str:
    """Stage that each run ends with."""
    run_dir = RunDir(sweep.folder)
    return maker_of(run_dir.report if sweep.options.report else run_dir.metrics, run_dir).name


def is_complete(config: RunConfig, until: str) -> bool:
    """Whether all stages up to ``until`` would do nothing."""
    run_dir = RunDir(config.run_path)
    if not run_dir.record.exists():
        return False
    record = RunRecord.read(run_dir)
    return all(decide(stage, config, run_dir, record).action == "skip" for stage in up_to(until))


def check_files(sweep: Sweep) -> None:
    """Raise ``DataError`` if data files of a run are missing: before hours of work, not after."""
    wrong: dict[str, None] = {}
    # Many runs share their files: each complaint once, in the order of the runs.
    for config in sweep.runs:
        for part in ("train", "test"):
            try:
                files_of(config, part)
            except DataError as error:
                wrong.setdefault(str(error))
    if wrong:
        raise DataError("\n".join(wrong))


def _job(sweep: Sweep, config: RunConfig) -> Job:
    arguments = ("run", str(config_path(sweep, config)), "--until", last_stage(sweep))
    return Job(config.run.name, arguments, sweep.folder / "logs" / f"{config.run.name}.log")


def _command(job: Job) -> str:
    return shlex.join(["cherenkov-mlops", *job.arguments])


def repeat_command(sweep: Sweep, config: RunConfig) -> str:
    """Write the command that repeats one run of the sweep alone."""
    return _command(_job(sweep, config))


def _last_error(path: Path) -> str:
    """Find the last line in which a command said what went wrong; empty if it did not."""
    with path.open("rb") as stream:
        # A log may be long: of epochs, and of all runs of this name before.
        stream.seek(max(os.fstat(stream.fileno()).st_size - _LAST_BYTES, 0))
        lines = stream.read().decode("utf-8", errors="replace").splitlines()
    # The program's last line names its own log, too: here it is the one of the sweep that counts.
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return errors[-1].partition("; log: ")[0] if errors else ""


def write_state(sweep: Sweep, runs: dict[str, Any]) -> None:
    """Note what became of each run, by its name."""
    content = {"sweep": str(sweep.path.absolute()), "written": time.time(), "runs": runs}
    write_json_atomically(sweep.folder / "sweep.json", content)


class Progress:
    """Show how far the runs are: a bar on a terminal, else one line a run.

    Parameters
    ----------
    n_runs : int
        Runs to do.
    """

    def __init__(self, n_runs: int):
        self.n_runs = n_runs
        self.n_ended = self.n_failed = 0
        self.started = time.monotonic()
        columns = (
            TextColumn("sweep"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        console = rich.get_console()
        self.bar = Bar(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.task = self.bar.add_task("", total=n_runs)

    def __enter__(self) -> "Progress":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def show(self, names: Sequence[str]) -> None:
        """Say what runs now."""
        failed = f"{self.n_failed} failed  " if self.n_failed else ""
        text = f"{self._left()}{failed}{', '.join(names)}"
        self.bar.update(self.task, completed=self.n_ended, description=text)

    def tell(self, ended: Ended, error: str) -> None:
        """Say how a run ended, in one line."""
        self.n_ended += 1
        self.n_failed += bool(ended.code)
        how = f"FAILED ({error or f'exit code {ended.code}'})" if ended.code else "done"
        log.info(
            "sweep: [%d/%d] %s: %s, %.0f s%s",
            self.n_ended,
            self.n_runs,
            ended.job.name,
            how,
            ended.seconds,
            f"; {self._left().strip()}" if self.n_ended < self.n_runs else "",
        )

    def _left(self) -> str:
        """Time until the end, if the rest takes as long as what is done."""
        if not self.n_ended:
            return ""
        passed = time.monotonic() - self.started
        seconds = passed / self.n_ended * (self.n_runs - self.n_ended)
        return (
            f"about {seconds / 60:.0f} min left  " if seconds >= 90 else f"{seconds:.0f} s left  "
        )
