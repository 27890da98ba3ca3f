"""What SLURM's commands print, read; what a job asks for, and whether it can be had."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cherenkov_mlops.cluster import slurm
from cherenkov_mlops.cluster.jobs import (
    find_excess,
    job_environment,
    make_request,
    to_megabytes,
)
from cherenkov_mlops.cluster.slurm import JobState, Partition, parse_partition, read_efficiency
from cherenkov_mlops.config.cluster_section import SlurmSection, StageSlurmSection
from cherenkov_mlops.durations import format_duration, parse_duration
from cherenkov_mlops.errors import UserError

GPU = Partition("gpu", False, 86400.0, 64, 512_000, 4)
CPU = Partition("cpu", True, None, 32, 128_000, 0)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cpu*|infinite|32|128000|(null)", CPU),
        ("gpu|1-00:00:00|64|512000|gpu:4", GPU),
        ("gpu|1-00:00:00|64+|512000+|gpu:a100:4(S:0-1)", GPU),
        ("gpu|24:00:00|64|512000|gpu:a100_3g.20gb:2,gpu:v100:2,fpga:1", GPU),
    ],
)
def test_partitions(line, expected):
    assert parse_partition(line) == expected


@given(st.integers(1, 10**7))
def test_durations_come_back(seconds):
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "mb"), [("32G", 32768), ("512M", 512), ("1T", 2**20), ("2048K", 2)]
)
def test_sizes(text, mb):
    assert to_megabytes(text) == mb


def answers(monkeypatch, **by_command: str) -> None:
    """Have SLURM's commands print what is given; the others are not there."""

    def call(command, environment=None):
        if command[0] not in by_command:
            raise UserError(f"{command[0]}: not found")
        return by_command[command[0]]

    monkeypatch.setattr(slurm, "call", call)


SACCT = """01:00:00|4|02:00:00||16000M
01:00:00|4|02:00:00|8000.00M|
"""


def test_efficiency(monkeypatch):
    answers(monkeypatch, sacct=SACCT)
    assert read_efficiency("7") == "CPU 50%, memory 8.0 of 16.0 GB"
    answers(monkeypatch, sacct="1-00:00:00|2|12:00:00.500||8000Mn\n")
    assert read_efficiency("7") == "CPU 25%"
    for nothing in ("", "00:00:00|4|00:00:00||16000M\n"):
        answers(monkeypatch, sacct=nothing)
        assert read_efficiency("7") == ""
    answers(monkeypatch)
    assert read_efficiency("7") == ""


def test_states(monkeypatch):
    running = "JobId=7 JobState=RUNNING Reason=None Restarts=2 ExitCode=0:0"
    answers(monkeypatch, scontrol=running, squeue="1:02:03\n")
    assert slurm.read_job("7") == JobState("RUNNING", "1:02:03", "", 2)
    answers(monkeypatch, scontrol="JobId=7 JobState=PENDING Reason=Dependency Restarts=0")
    assert slurm.read_job("7") == JobState("PENDING", "", "Dependency")
    answers(monkeypatch, scontrol="JobId=7 JobState=FAILED Reason=X Restarts=0 ExitCode=3:0")
    assert slurm.read_job("7") == JobState("FAILED", "", "exit code 3")
    # Forgotten by the daemon, known to the accounts.
    answers(monkeypatch, sacct="CANCELLED by 1000|0:15\n")
    assert slurm.read_job("7") == JobState("CANCELLED", reason="exit code 0")
    answers(monkeypatch)
    assert slurm.read_job("7") is None


def test_commands_that_are_not_there(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="sinfo: not found; run this on a login node"):
        slurm.read_partitions()


def test_what_each_stage_asks_for():
    section = SlurmSection(
        partition="gpu",
        gpus=1,
        time="12:00:00",
        memory="32G",
        account="astro",
        signal_s=600,
        options=["--constraint=a100"],
        stages={"test": StageSlurmSection(time="06:00:00", gpus=0)},
    )
    train = make_request("train", section, gpu=True, long=True).options()
    assert train[:5] == [
        *("--partition=gpu", "--account=astro", "--time=12:00:00", "--mem=32G", "--gpus=1")
    ]
    assert train[5:] == ["--constraint=a100", "--signal=B:USR2@600"]
    assert make_request("predict", section, gpu=True, also=("test",)).options() == [
        *("--partition=gpu", "--account=astro", "--time=06:00:00", "--constraint=a100")
    ]
    report = make_request("report", section)
    assert report.options() == ["--partition=gpu", "--account=astro", "--constraint=a100"]
    # What it does not ask for stands in its script.
    assert report.needs() == (1800.0, 4096, 1)
    assert make_request("train", SlurmSection(), gpu=True, long=True).options() == []


def test_what_cannot_be_had():
    def excess(stage="train", **section):
        request = make_request(stage, SlurmSection(**section), gpu=True, long=True)
        return find_excess([request], [GPU, CPU])

    assert excess(partition="gpu", gpus=4, time="1-00:00:00", memory="100G") == []
    assert excess(time="9-00:00:00") == []
    assert [key for key, _ in excess(partition="gpu", gpus=8, time="2-00:00:00", cpus=65)] == [
        *("slurm.time", "slurm.cpus", "slurm.gpus")
    ]
    assert excess(gpus=1) == [
        ("slurm.gpus", "train: expected at most 0, what a node of partition cpu has, got 1")
    ]
    assert excess(partition="gpuu") == [
        ("slurm.partition", "there is no partition 'gpuu'; did you mean 'gpu'?")
    ]


def test_settings_of_the_scripts(tmp_path):
    section = SlurmSection(image=tmp_path / "i.sif", binds=["/a b:/c", "/d"], restarts=3)
    settings = job_environment(section)
    assert settings["CHERENKOV_MLOPS_IMAGE"] == str(tmp_path / "i.sif")
    assert settings["CHERENKOV_MLOPS_BINDS"] == "/a b:/c,/d"
    assert settings["CHERENKOV_MLOPS_RESTARTS"] == "3"
    assert set(job_environment(SlurmSection())) == {"PATH"}
