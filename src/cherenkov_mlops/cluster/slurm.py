"""SLURM's commands, and what they say."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cherenkov_mlops.durations import parse_duration
from cherenkov_mlops.errors import UserError

_INFINITE = {"infinite", "UNLIMITED", "n/a"}
_GPUS = re.compile(r"gpu(?::[A-Za-z][^:,(]*)?:(\d+)")
#: States after which nothing happens any more.
ENDED = {
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "TIMEOUT",
    "OUT_OF_MEMORY",
    "NODE_FAIL",
    "DEADLINE",
    "BOOT_FAIL",
}


@dataclass(frozen=True)
class Partition:
    """Nodes of one kind in a partition.

    Parameters
    ----------
    name : str
        Of the partition.
    is_default : bool
        Whether jobs go there that name none.
    seconds : float or None
        Longest time of a job; None if there is no limit.
    cpus, memory_mb, gpus : int
        Of one node.
    """

    name: str
    is_default: bool
    seconds: float | None
    cpus: int
    memory_mb: int
    gpus: int


@dataclass(frozen=True)
class JobState:
    """What SLURM says of a job.

    Parameters
    ----------
    state : str
        Such as PENDING or RUNNING.
    left : str
        Time to its limit, as SLURM writes it; empty if it does not run.
    reason : str
        Why it waits, or its exit code.
    restarts : int
        How often it was put back into the queue.
    """

    state: str
    left: str = ""
    reason: str = ""
    restarts: int = 0


def call(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a command of SLURM; return what it printed.

    Raises
    ------
    UserError
        SLURM is not here, or refuses.
    """
    try:
        done = subprocess.run(
            list(command), capture_output=True, text=True, check=False, env=environment
        )
    except FileNotFoundError as error:
        raise UserError(
            f"{command[0]}: not found; run this on a login node of a SLURM cluster"
        ) from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise UserError(f"{command[0]}: {said}")
    return done.stdout


def read_partitions() -> list[Partition]:
    """Read the partitions, one entry for each kind of node in each."""
    lines = call(["sinfo", "-h", "-o", "%P|%l|%c|%m|%G"]).splitlines()
    return [parse_partition(line) for line in lines if line.strip()]


def parse_partition(line: str) -> Partition:
    """Read the partition in a line of ``sinfo -o "%P|%l|%c|%m|%G"``."""
    name, limit, cpus, memory, gres = line.strip().split("|")
    seconds = None if limit in _INFINITE else parse_duration(limit, "sinfo")
    gpus = sum(int(number) for number in _GPUS.findall(gres))
    plain = name.rstrip("*")
    # Where nodes differ sinfo puts a plus behind the smallest number.
    return Partition(
        plain, name.endswith("*"), seconds, int(cpus.rstrip("+")), int(memory.rstrip("+")), gpus
    )


def submit(
    script: Path,
    arguments: Sequence[str],
    options: Sequence[str],
    settings: Mapping[str, str],
) -> str:
    """Submit a job that runs ``script arguments``; return its number.

    Parameters
    ----------
    script : Path
        A batch script.
    arguments, options : sequence of str
        For the script, and for ``sbatch``.
    settings : mapping of str to str
        Environment variables of the job, beside those of this process.
    """
    command = sbatch_command(script, arguments, options)
    return call(command, {**os.environ, **settings}).strip().partition(";")[0]


def sbatch_command(script: Path, arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    """Make the command that submits a script."""
    return ["sbatch", "--parsable", *options, str(script), *arguments]


def cancel(jobs: Sequence[str]) -> None:
    """Take jobs out of the queue."""
    call(["scancel", *jobs])


def read_job(job: str) -> JobState | None:
    """Read the state of a job; None if SLURM has forgotten it."""
    try:
        text = call(["scontrol", "show", "job", "--oneliner", job])
    except UserError:
        # It ended some minutes ago; the accounting, where there is one, remembers it.
        try:
            rows = call(["sacct", "-n", "-X", "-P", "-j", job, "-o", "State,ExitCode"]).splitlines()
        except UserError:
            return None
        if not rows:
            return None
        state, _, code = rows[-1].partition("|")
        # "CANCELLED by 1000"
        return JobState(state.split()[0], reason=f"exit code {code.partition(':')[0]}")
    # Of an array the first task stands for all.
    fields = dict(re.findall(r"(\w+)=(\S*)", text.splitlines()[0]))
    state = fields.get("JobState", "UNKNOWN")
    is_running = state == "RUNNING"
    reason = fields.get("Reason", "") if state == "PENDING" else ""
    if state in ENDED:
        reason = f"exit code {fields.get('ExitCode', '?').partition(':')[0]}"
    # scontrol tells the limit only, squeue what is left of it.
    left = call(["squeue", "-h", "-j", job, "-o", "%L"]).strip() if is_running else ""
    return JobState(state, left, reason, int(fields.get("Restarts", 0)))


def read_efficiency(job: str) -> str:
    """Read CPU and memory used over those asked for; empty if nobody kept account."""
    fields = "Elapsed,AllocCPUS,TotalCPU,MaxRSS,ReqMem"
    try:
        lines = call(["sacct", "-n", "-P", "-j", job, "--units=M", "-o", fields]).splitlines()
    except UserError:
        return ""
    # One line a step: those of the job itself come first, memory stands with the steps.
    rows = [line.split("|") for line in lines if line.count("|") == fields.count(",")]
    if not rows or rows[0][0] in ("", "00:00:00"):
        return ""
    elapsed, cpus, used = rows[0][:3]
    share = _seconds(used) / (_seconds(elapsed) * int(cpus))
    peaks = [float(row[3].rstrip("M")) for row in rows if row[3].rstrip("M")]
    asked = rows[0][4].rstrip("Mnc")
    memory = f", memory {max(peaks) / 1e3:.1f} of {float(asked) / 1e3:.1f} GB" if peaks else ""
    return f"CPU {share:.0%}{memory}"


def _seconds(text: str) -> float:
    """Seconds of ``[days-][hours:]minutes:seconds[.fraction]``, as sacct writes it."""
    days, _, clock = text.rpartition("-")
    total = 0.0
    for part in clock.split(":"):
        total = 60 * total + float(part)
    return total + 86400 * int(days or 0)
