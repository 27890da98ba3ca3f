"""The section ``slurm``: what jobs of a cluster ask for."""

from typing import Annotated

from pydantic import Field

from cherenkov_mlops.config.base import Expected, FilePath, Section

Duration = Annotated[
    str,
    Field(pattern=r"^(\d+-)?\d+(:\d+){0,2}$"),
    Expected("a time as hours:minutes:seconds, such as 12:00:00"),
]
Memory = Annotated[
    str, Field(pattern=r"^\d+[KMGT]$"), Expected("a size with its unit, such as 32G")
]


class StageSlurmSection(Section):
    """What the jobs of one stage ask for; null = what stands in its script."""

    partition: str | None = Field(None, description="Partition (queue).")
    gpus: int | None = Field(None, ge=0, description="Number of GPUs.")
    cpus: int | None = Field(None, ge=1, description="Number of processors.")
    time: Duration | None = Field(None, description="Time limit, hours:minutes:seconds.")
    memory: Memory | None = Field(None, description="Memory of the node with its unit, as 32G.")


class SlurmSection(Section):
    """What a SLURM job asks for; nothing here changes a result."""

    partition: str | None = Field(None, description="Partition (queue) of all stages.")
    gpus: int | None = Field(None, ge=0, description="Number of GPUs of train and predict.")
    cpus: int | None = Field(None, ge=1, description="Number of processors of train.")
    time: Duration | None = Field(
        None, description="Time limit of train, hours:minutes:seconds, as 12:00:00."
    )
    memory: Memory | None = Field(
        None, description="Memory of the node with its unit for train, as 32G."
    )
    account: str | None = Field(None, description="Account that is charged.")
    image: FilePath | None = Field(None, description="Apptainer image to run in.")
    binds: list[str] = Field([], description="Folders to bind into the container, host:container.")
    signal_s: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Seconds before the time limit at which a training is told to stop; null = "
        "300, as in the script.",
    )
    restarts: int | None = Field(
        None, ge=0, description="How often a training goes back to the queue; null = 20."
    )
    options: list[str] = Field(
        [], description="Further options of sbatch for all stages, as --constraint=a100."
    )
    # Which stages there are, the table of stages says: `config check` and `submit` ask it.
    stages: dict[str, StageSlurmSection] = Field(
        {},
        description="What single stages ask for instead, as {predict: {time: 08:00:00}}; `test` "
        "stands for `predict`.",
    )
