"""A sweep as an array of jobs on a SLURM cluster, and what became of it."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from cherenkov_mlops.cluster import slurm
from cherenkov_mlops.cluster.jobs import Request, job_environment, make_request, refuse_excess
from cherenkov_mlops.commands.submit import ANY_STAGE, record_jobs
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.errors import SweepFailed, UserError
from cherenkov_mlops.pipeline.lifecycle import first_incomplete
from cherenkov_mlops.pipeline.record import RunRecord
from cherenkov_mlops.run_dir import RunDir, write_text_atomically
from cherenkov_mlops.sweep.pages import write_pages
from cherenkov_mlops.sweep.plan import Sweep
from cherenkov_mlops.sweep.running import (
    config_path,
    is_complete,
    last_stage,
    repeat_command,
    write_configs,
    write_state,
)

log = logging.getLogger(__name__)

#: SLURM's own default.
MAX_ARRAY_SIZE = 1001


def submit_sweep(sweep: Sweep, at_once: int | None = None) -> list[str]:
    """Numbers of the arrays, and of the job that makes the page when they have ended.

    Parameters
    ----------
    sweep : Sweep
        The runs, all of them checked; those that are complete are left out.
    at_once : int, optional
        How many jobs of an array may run at a time.

    Raises
    ------
    UserError
        SLURM is not here or refuses, or runs ask SLURM for different things.
    ConfigError
        The jobs ask for more than a partition has.
    """
    config = _common(sweep)
    # An array runs whole runs: it asks for what the stage asks for that needs most.
    array = make_request("sweep", config.slurm, gpu=True, long=True)
    collect = make_request("collect", config.slurm)
    refuse_excess([array, collect], slurm.read_partitions(), config)
    write_configs(sweep)
    todo = [each for each in sweep.runs if not is_complete(each, last_stage(sweep))]
    jobs: list[str] = []
    try:
        for number, runs in enumerate(_chunks(todo, read_max_array_size())):
            jobs.append(_submit_array(sweep, array, runs, number, at_once))
        options = _options(sweep, collect, "collect-%j")
        if jobs:
            options.append(f"--dependency=afterany:{':'.join(jobs)}")
        settings = job_environment(config.slurm)
        path = str(sweep.path.absolute())
        jobs.append(slurm.submit(collect.script, [path], options, settings))
    except UserError:
        if jobs:
            slurm.cancel(jobs)
        raise
    log.info("sweep: %d of %d runs: jobs %s", len(todo), len(sweep.runs), ", ".join(jobs))
    return jobs


def _common(sweep: Sweep) -> RunConfig:
    first = sweep.runs[0]
    if any(each.slurm != first.slurm for each in sweep.runs):
        raise UserError(
            f"{sweep.path}: expected one section 'slurm' for all runs, for they are one array; "
            "write it under 'config', and sweep something else"
        )
    return first


def _submit_array(
    sweep: Sweep, request: Request, runs: list[RunConfig], number: int, at_once: int | None
) -> str:
    listed = sweep.folder / "configs" / f"array_{number}.txt"
    paths = [str(config_path(sweep, config).absolute()) for config in runs]
    write_text_atomically(listed, "\n".join(paths) + "\n")
    limit = f"%{at_once}" if at_once else ""
    options = [
        *_options(sweep, request, "slurm-%A_%a"),
        f"--array=0-{len(runs) - 1}{limit}",
    ]
    arguments = [str(listed.absolute()), "--until", last_stage(sweep)]
    job = slurm.submit(request.script, arguments, options, job_environment(runs[0].slurm))
    for index, config in enumerate(runs):
        record_jobs(RunDir(config.run_path), [(ANY_STAGE, f"{job}_{index}")])
    return job


def _options(sweep: Sweep, request: Request, log_name: str) -> list[str]:
    logs = sweep.folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    folder = str(logs.absolute()).replace("%", "%%")
    named = [f"--job-name={sweep.path.stem}-{request.stage}", f"--output={folder}/{log_name}.log"]
    return [*named, *request.options()]


def _chunks(runs: list[RunConfig], size: int) -> Iterator[list[RunConfig]]:
    for start in range(0, len(runs), size):
        yield runs[start : start + size]


def read_max_array_size() -> int:
    """How many jobs an array may have on this cluster."""
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", slurm.call(["scontrol", "show", "config"]))
    # The largest index is one less than it, and indices begin at 0.
    return int(found.group(1)) if found else MAX_ARRAY_SIZE


def collect(sweep: Sweep) -> None:
    """Write the page about all runs that have results, and say which have none.

    Raises
    ------
    SweepFailed
        Some runs are not complete; the message has the command that repeats each.
    """
    states, failed = {}, []
    for number, config in enumerate(sweep.runs):
        if is_complete(config, last_stage(sweep)):
            states[config.run.name] = {"state": "complete"}
            continue
        state, reason = _what_happened(config)
        states[config.run.name] = {"state": state, "command": repeat_command(sweep, config)}
        failed.append(
            f"{config.run.name} (run {number}): {reason}; to repeat: "
            f"{repeat_command(sweep, config)}"
        )
    write_state(sweep, states)
    write_pages(sweep)
    if failed:
        raise SweepFailed(failed)


def _what_happened(config: RunConfig) -> tuple[str, str]:
    """State of the first stage that is not complete, and what is known about it."""
    run_dir = RunDir(config.run_path)
    record = RunRecord.read(run_dir)
    stage = first_incomplete(record)
    state = record.state(stage) or "not started"
    attempts = record.content["stages"].get(stage, {}).get("attempts", [])
    error = attempts[-1].get("error") if attempts else None
    return state, f"{stage}: {state}" + (f": {error}" if error else _from_log(run_dir.logs))


def _from_log(folder: Path) -> str:
    """Where to look, for a run of which nothing was recorded."""
    return f"; logs: {folder.parent.parent.parent / 'logs'}"
