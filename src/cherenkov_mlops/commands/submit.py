"""``submit``: the stages of a run as jobs of a SLURM cluster, each after the one before."""

import json
import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cherenkov_mlops.cluster import slurm
from cherenkov_mlops.cluster.jobs import Request, job_environment, make_request, refuse_excess
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.errors import ConfigError, UserError
from cherenkov_mlops.pipeline.stage import COMMANDS, STAGES, check_cluster_names, expand
from cherenkov_mlops.provenance import timestamp
from cherenkov_mlops.run_dir import RunDir, write_json_atomically

log = logging.getLogger(__name__)

#: In place of a stage, for a job that runs all of them.
ANY_STAGE = "run"


@dataclass(frozen=True)
class Step:
    """One job of a chain.

    Parameters
    ----------
    request : Request
        What it asks for, with its script.
    arguments : tuple of str
        For the script.
    after : str
        How it depends on the job before: ``afterok``, or ``afterany`` for one that goes on with
        what that job left.
    settings : dict of str to str
        Environment variables.
    """

    request: Request
    arguments: tuple[str, ...]
    after: str
    settings: dict[str, str]

    def options(self, earlier: str | None) -> list[str]:
        """Options for ``sbatch``, with the number of the job before."""
        options = self.request.options()
        if earlier is not None:
            options += [f"--dependency={self.after}:{earlier}", "--kill-on-invalid-dep=yes"]
        return options


def run(
    config: RunConfig,
    run_dir: RunDir,
    given: Path,
    stages: Sequence[str],
    overrides: Sequence[str] = (),
    *,
    chain: int | None = None,
) -> list[tuple[str, str]]:
    """Submit the jobs: stage and number of each, which are kept in the run folder, too.

    Parameters
    ----------
    config, run_dir : RunConfig, RunDir
        The run.
    given : Path
        What the jobs' commands take: its YAML file or folder.
    stages : sequence of str
        Which stages, or commands of several, in any order.
    overrides : sequence of str
        ``KEY=VALUE``, passed on.
    chain : int, optional
        Trainings one after the other instead of one that is requeued.

    Raises
    ------
    UserError
        SLURM is not here, or refuses a job; jobs submitted before are cancelled.
    ConfigError
        ``slurm.stages`` names no stage, or a job asks for more than its partition has.
    """
    steps = plan(config, run_dir, given, stages, overrides, chain=chain)
    refuse_excess([step.request for step in steps], slurm.read_partitions(), config)
    run_dir.logs.mkdir(parents=True, exist_ok=True)
    jobs: list[tuple[str, str]] = []
    for step in steps:
        try:
            job = slurm.submit(
                step.request.script,
                step.arguments,
                step.options(jobs[-1][1] if jobs else None),
                step.settings,
            )
        except UserError:
            if jobs:
                slurm.cancel([number for _, number in jobs])
            raise
        jobs.append((step.request.stage, job))
        log.info("submit: %s: job %s", step.request.stage, job)
    record_jobs(run_dir, jobs)
    return jobs


def plan(
    config: RunConfig,
    run_dir: RunDir,
    given: Path,
    stages: Sequence[str],
    overrides: Sequence[str] = (),
    *,
    chain: int | None = None,
) -> list[Step]:
    """The jobs, in their order."""
    if problems := check_cluster_names(config):
        raise ConfigError(problems)
    arguments = [str(given.absolute())]
    for override in overrides:
        arguments += ["-o", override]
    # A percent sign begins a pattern of SLURM.
    folder = str(run_dir.logs.absolute()).replace("%", "%%")
    steps = []
    for name in expand(stages, "--stages"):
        stage = STAGES[name]
        # The section of a command holds for that of its stages that may have GPUs: its long one.
        also = [command for command, parts in COMMANDS.items() if stage.gpu and name in parts]
        request = make_request(name, config.slurm, gpu=stage.gpu, long=stage.long, also=also)
        names = (
            f"--job-name={config.run.name}-{name}",
            f"--output={folder}/slurm-{name}-%j.log",
        )
        request = replace(request, extra=(*names, *request.extra))
        settings = job_environment(config.slurm)
        if stage.resumes and chain is not None:
            settings["CHERENKOV_MLOPS_RESTARTS"] = "0"
            first = Step(request, (*request.arguments, *arguments), "afterok", settings)
            steps += [first, *[replace(first, after="afterany")] * (chain - 1)]
        else:
            steps.append(Step(request, (*request.arguments, *arguments), "afterok", settings))
    return steps


def describe(steps: Sequence[Step]) -> list[str]:
    """The commands that would submit the jobs."""
    lines, earlier = [], None
    for number, step in enumerate(steps, start=1):
        options = step.options(earlier)
        lines.append(shlex.join(slurm.sbatch_command(step.request.script, step.arguments, options)))
        earlier = f"JOB_{number}"
    return lines


def record_jobs(run_dir: RunDir, jobs: Sequence[tuple[str, str]]) -> None:
    """Add jobs to those that the run folder knows."""
    known = read_jobs(run_dir)
    now = timestamp()
    added = [{"stage": stage, "job": job, "submitted": now} for stage, job in jobs]
    write_json_atomically(run_dir.jobs, {"jobs": [*known, *added]})


def read_jobs(run_dir: RunDir) -> list[dict[str, Any]]:
    """Jobs that were submitted for the run, oldest first: stage, number, time."""
    if not run_dir.jobs.exists():
        return []
    return json.loads(run_dir.jobs.read_text(encoding="utf-8"))["jobs"]
