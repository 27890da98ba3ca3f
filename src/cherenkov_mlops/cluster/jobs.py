"""What a job of each stage asks for, and whether its partition can give it."""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cherenkov_mlops.cluster.slurm import Partition
from cherenkov_mlops.config.cluster_section import SlurmSection
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.durations import format_duration, parse_duration
from cherenkov_mlops.errors import ConfigError
from cherenkov_mlops.registry import did_you_mean

SCRIPTS = Path(__file__).parents[1] / "slurm"
_SBATCH = re.compile(r"^#SBATCH --(time|mem|cpus-per-task)=(\S+)", re.MULTILINE)
_UNITS = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}


@dataclass(frozen=True)
class Request:
    """What one job asks for; None where the script's own value stands.

    Parameters
    ----------
    stage : str
        Its stage, and name of its script.
    gpu, long : bool
        Whether it may have GPUs, and whether time, memory and processors of the section as a whole
        are meant for it.
    partition, account, time, memory : str or None
        As SLURM writes them.
    gpus, cpus : int or None
        Numbers.
    extra : tuple of str
        Further options of ``sbatch``.
    """

    stage: str
    gpu: bool = False
    long: bool = False
    partition: str | None = None
    account: str | None = None
    time: str | None = None
    memory: str | None = None
    gpus: int | None = None
    cpus: int | None = None
    extra: tuple[str, ...] = ()

    @property
    def script(self) -> Path:
        """The batch script: its own, or that of all stages that have none."""
        own = SCRIPTS / f"{self.stage}.sbatch"
        return own if own.is_file() else SCRIPTS / "stage.sbatch"

    @property
    def arguments(self) -> tuple[str, ...]:
        """What goes before the arguments of its command: the command, if the script has none."""
        return () if self.script.stem == self.stage else (self.stage,)

    def options(self) -> list[str]:
        """Options for ``sbatch``, which go before those in the script."""
        named = {
            "partition": self.partition,
            "account": self.account,
            "time": self.time,
            "mem": self.memory,
            "cpus-per-task": self.cpus,
            "gpus": self.gpus or None,
        }
        given = [f"--{name}={value}" for name, value in named.items() if value is not None]
        return [*given, *self.extra]

    def needs(self) -> tuple[float, int, int]:
        """Time [s], memory [MB] and processors, its own or its script's."""
        stated = dict(_SBATCH.findall(self.script.read_text(encoding="utf-8")))
        time = parse_duration(self.time or stated["time"], "slurm.time")
        memory = to_megabytes(self.memory or stated["mem"])
        return time, memory, self.cpus or int(stated["cpus-per-task"])


def to_megabytes(text: str) -> int:
    """Megabytes (of 2^20 bytes) in a size as SLURM writes it, such as ``32G``."""
    number, unit = (text[:-1], text[-1].upper()) if text[-1].isalpha() else (text, "M")
    return round(float(number) * _UNITS[unit])


def make_request(
    stage: str,
    section: SlurmSection,
    *,
    gpu: bool = False,
    long: bool = False,
    also: Sequence[str] = (),
) -> Request:
    """Put together what the job of a stage asks for, by the section ``slurm``.

    Parameters
    ----------
    stage : str
        Its name.
    section : SlurmSection
        The section.
    gpu, long : bool
        See `Request`.
    also : sequence of str
        Commands that run this stage, too: their sections count where its own says nothing.
    """
    values: dict = {"partition": section.partition, "account": section.account}
    if long:
        values |= {"time": section.time, "memory": section.memory, "cpus": section.cpus}
    # Short stages keep what their scripts ask for: a smaller request waits less.
    if gpu:
        values["gpus"] = section.gpus
    # What is given for the stage itself wins.
    for name in (*also, stage):
        if (own := section.stages.get(name)) is not None:
            values |= {key: value for key, value in own.model_dump().items() if value is not None}
    extra = list(section.options)
    # To the script alone (B:), which passes it on: the training then saves its state.
    if long and section.signal_s is not None:
        extra.append(f"--signal=B:USR2@{section.signal_s}")
    return Request(stage, gpu, long, extra=tuple(extra), **values)


def find_excess(
    requests: Sequence[Request], partitions: Sequence[Partition]
) -> list[tuple[str, str]]:
    """Find the requests that no node of their partition can ever fulfil: key and complaint.

    SLURM takes such jobs on many sites, and lets them wait for ever.
    """
    problems: list[tuple[str, str]] = []
    for request in requests:
        names = sorted({each.name for each in partitions})
        name = request.partition or os.environ.get("SBATCH_PARTITION")
        nodes = [each for each in partitions if each.name == name or (not name and each.is_default)]
        if name and not nodes:
            said = f"there is no partition '{name}'; {did_you_mean(name, names)}"
            problems.append(("slurm.partition", said))
        if not nodes:
            continue
        stage, name = request.stage, nodes[0].name
        seconds, memory, cpus = request.needs()
        # Nodes of a partition differ: one that fits is enough.
        limits = [each.seconds for each in nodes if each.seconds is not None]
        if limits and seconds > max(limits):
            most_s, got_s = format_duration(max(limits)), format_duration(seconds)
            said = f"{stage}: expected at most {most_s}, the limit of partition {name}, got {got_s}"
            problems.append((_key(request, "time"), said))
        for what, wanted, most in (
            ("memory", memory, max(each.memory_mb for each in nodes)),
            ("cpus", cpus, max(each.cpus for each in nodes)),
            ("gpus", request.gpus or 0, max(each.gpus for each in nodes)),
        ):
            if wanted > most:
                unit = " MB" if what == "memory" else ""
                said = f"expected at most {most}{unit}, what a node of partition {name} has"
                problems.append((_key(request, what), f"{stage}: {said}, got {wanted}{unit}"))
    return list(dict.fromkeys(problems))


def refuse_excess(
    requests: Sequence[Request], partitions: Sequence[Partition], config: RunConfig
) -> None:
    """Raise ``ConfigError``, with all of them, if requests can never be fulfilled."""
    if found := find_excess(requests, partitions):
        raise ConfigError(
            [": ".join(filter(None, (config.locate(key), key, said))) for key, said in found]
        )


def job_environment(section: SlurmSection) -> dict[str, str]:
    """Environment variables that the scripts read, and a PATH on which this program is."""
    settings = {"PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"}
    if section.image is not None:
        settings["CHERENKOV_MLOPS_IMAGE"] = str(section.image)
    if section.binds:
        settings["CHERENKOV_MLOPS_BINDS"] = ",".join(section.binds)
    if section.restarts is not None:
        settings["CHERENKOV_MLOPS_RESTARTS"] = str(section.restarts)
    return settings


def _key(request: Request, what: str) -> str:
    """Option that decides it."""
    of_all = request.gpu if what == "gpus" else request.long
    return f"slurm.{what}" if of_all else f"slurm.stages.{request.stage}.{what}"
