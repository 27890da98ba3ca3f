"""A sweep as an array of jobs on a SLURM cluster, and what became of it."""

import logging
import re

from cherenkov_mlops.cluster import slurm
from cherenkov_mlops.cluster.jobs import Request, job_environment, make_request, refuse_excess
from cherenkov_mlops.commands.submit import ANY_STAGE, record_jobs
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
    """Submit what is not complete, and a job that makes the page when all have ended.

    Parameters
    ----------
    sweep : Sweep
        The runs, all of them checked; those that are complete are left out.
    at_once : int, optional
        How many jobs of an array may run at a time.

    Returns
    -------
    list of str
        Numbers of the arrays, and of the job that makes the page.

    Raises
    ------
    UserError
        SLURM is not here or refuses, or runs ask SLURM for different things.
    ConfigError
        The jobs ask for more than a partition has.
    """
    config = sweep.runs[0]
    if any(each.slurm != config.slurm for each in sweep.runs):
        raise UserError(
            f"{sweep.path}: expected one section 'slurm' for all runs, for they are one array; "
            "write it under 'config', and sweep something else"
        )
    # An array runs whole runs: it asks for what the stage asks for that needs most.
    array = make_request("sweep", config.slurm, gpu=True, long=True)
    collect = make_request("collect", config.slurm)
    refuse_excess([array, collect], slurm.read_partitions(), config)
    write_configs(sweep)
    # Complete runs take no place in the queue.
    todo = [each for each in sweep.runs if not is_complete(each, last_stage(sweep))]
    settings = job_environment(config.slurm)
    limit = f"%{at_once}" if at_once else ""
    size = read_max_array_size()
    jobs: list[str] = []
    try:
        for number, start in enumerate(range(0, len(todo), size)):
            runs = todo[start : start + size]
            # A task of the array takes the line of its number.
            listed = sweep.folder / "configs" / f"array_{number}.txt"
            paths = [str(config_path(sweep, each).absolute()) for each in runs]
            write_text_atomically(listed, "\n".join(paths) + "\n")
            options = _options(sweep, array, "slurm-%A_%a")
            options.append(f"--array=0-{len(runs) - 1}{limit}")
            arguments = [str(listed.absolute()), "--until", last_stage(sweep)]
            jobs.append(slurm.submit(array.script, arguments, options, settings))
            for index, each in enumerate(runs):
                record_jobs(RunDir(each.run_path), [(ANY_STAGE, f"{jobs[-1]}_{index}")])
        options = _options(sweep, collect, "collect-%j")
        if jobs:
            # After any end, a bad one too: the page says what failed.
            options.append(f"--dependency=afterany:{':'.join(jobs)}")
        path = str(sweep.path.absolute())
        jobs.append(slurm.submit(collect.script, [path], options, settings))
    except UserError:
        # All or nothing: half a sweep in the queue would be submitted a second time.
        if jobs:
            slurm.cancel(jobs)
        raise
    log.info("sweep: %d of %d runs: jobs %s", len(todo), len(sweep.runs), ", ".join(jobs))
    return jobs


def _options(sweep: Sweep, request: Request, log_name: str) -> list[str]:
    """Options of ``sbatch``; its logs go into the folder of the sweep."""
    logs = sweep.folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    # SLURM replaces what stands behind a percent sign.
    folder = str(logs.absolute()).replace("%", "%%")
    named = [f"--job-name={sweep.path.stem}-{request.stage}", f"--output={folder}/{log_name}.log"]
    return [*named, *request.options()]


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
        # The first stage that is not complete, and what is known about it.
        record = RunRecord.read(RunDir(config.run_path))
        stage = first_incomplete(record)
        state = record.state(stage) or "not started"
        attempts = record.content["stages"].get(stage, {}).get("attempts", [])
        error = attempts[-1].get("error") if attempts else None
        reason = f": {error}" if error else f"; logs: {sweep.folder / 'logs'}"
        command = repeat_command(sweep, config)
        states[config.run.name] = {"state": state, "command": command}
        failed.append(
            f"{config.run.name} (run {number}): {stage}: {state}{reason}; to repeat: {command}"
        )
    write_state(sweep, states)
    write_pages(sweep)
    if failed:
        raise SweepFailed(failed)
