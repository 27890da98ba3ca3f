"""``sweep``: the runs of a sweep file, side by side on this machine, and a page about all."""

import logging
import os
import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

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
from cherenkov_mlops.sweep.progress import Progress

log = logging.getLogger(__name__)

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
    state = {config.run.name: {"state": "complete"} for config in sweep.runs if config not in todo}
    failed = []
    for ended in run_side_by_side(sweep, todo, n_lanes):
        state[ended.job.name] = _describe_end(ended)
        write_state(sweep, state)
        failed += [ended] if ended.code else []
    write_state(sweep, state)
    write_pages(sweep)
    if failed:
        raise SweepFailed([_describe_failure(ended) for ended in failed])


def run_side_by_side(sweep: Sweep, runs: Sequence[RunConfig], n_lanes: int) -> Iterator[Ended]:
    """Each run as it ends, ``n_lanes`` at a time; told on the terminal, too."""
    processes = Processes(min(n_lanes, max(len(runs), 1)))
    with Progress(len(runs)) as progress:
        for ended in processes.run([_job(sweep, config) for config in runs]):
            progress.show(processes.names)
            if ended is not None:
                progress.tell(ended, _last_error(ended.job.log) if ended.code else "")
                yield ended


def write_configs(sweep: Sweep) -> None:
    """Write the YAML file of each run; ``DataError`` before any if data files are missing."""
    check_files(sweep)
    for config in sweep.runs:
        write_text_atomically(config_path(sweep, config), to_yaml(config.dump()))


def describe_sweep(sweep: Sweep, n_lanes: int) -> Iterator[str]:
    """One line a run: what would be done; nothing is written."""
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
    """Pass silently if the data files of all runs are there: before hours of work, not after."""
    wrong: dict[str, None] = {}
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


def _describe_end(ended: Ended) -> dict[str, Any]:
    states = {0: "complete", _EXIT_STOPPED: "stopped"}
    return {
        "state": states.get(ended.code, "failed"),
        "exit_code": ended.code,
        "seconds": round(ended.seconds, 1),
        "ended": timestamp(),
        "command": _command(ended.job),
    }


def _command(job: Job) -> str:
    return shlex.join(["cherenkov-mlops", *job.arguments])


def repeat_command(sweep: Sweep, config: RunConfig) -> str:
    """What runs one run of the sweep alone."""
    return _command(_job(sweep, config))


def _describe_failure(ended: Ended) -> str:
    reason = _last_error(ended.job.log) or f"exit code {ended.code}"
    return f"{ended.job.name}: {reason}; log: {ended.job.log}; to repeat: {_command(ended.job)}"


def _last_error(path: Path) -> str:
    """The last line in which a command said what went wrong."""
    with path.open("rb") as stream:
        stream.seek(max(os.fstat(stream.fileno()).st_size - _LAST_BYTES, 0))
        lines = stream.read().decode("utf-8", errors="replace").splitlines()
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return errors[-1].partition("; log: ")[0] if errors else ""


def write_state(sweep: Sweep, runs: dict[str, Any]) -> None:
    """Note what became of each run, by its name."""
    content = {"sweep": str(sweep.path.absolute()), "written": time.time(), "runs": runs}
    write_json_atomically(sweep.folder / "sweep.json", content)
