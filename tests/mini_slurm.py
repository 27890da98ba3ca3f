"""A real SLURM on one node: daemons of its own, ports of its own, no systemd."""

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

from cherenkov_mlops.cluster.slurm import ENDED

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch")


def why_not() -> str | None:
    """What is missing to start it; None if nothing is."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if missing:
        return f"SLURM's {', '.join(missing)} not installed (Debian: slurm-wlm, munge)"
    if os.geteuid() != 0:
        return "SLURM's daemons need root here"
    return None


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


class MiniSlurm:
    """Context in which SLURM runs, with partitions ``debug`` (2 hours at most) and ``short``.

    Parameters
    ----------
    folder : Path
        Where it keeps its files; short, for sockets have paths of 100 characters at most.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = {
            **os.environ,
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
        }
        self._daemons: list[subprocess.Popen] = []

    def __enter__(self) -> "MiniSlurm":
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("state", "spool"):
            (self.folder / name).mkdir(exist_ok=True)
        (self.folder / "slurm.conf").write_text(self._configuration())
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        self._start_munge()
        self._start("slurmctld", "-D")
        self._start("slurmd", "-D", "-N", socket.gethostname())
        self._wait_until_idle()
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["scancel", "--full", "--user=root"], env=self.environment, check=False)
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in self._daemons:
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _configuration(self) -> str:
        host, folder = socket.gethostname(), self.folder
        options = {
            "ClusterName": "mini",
            "SlurmctldHost": f"{host}(127.0.0.1)",
            "SlurmUser": "root",
            "SlurmdUser": "root",
            "SlurmctldPort": _free_port(),
            "SlurmdPort": _free_port(),
            "AuthType": "auth/munge",
            "CredType": "cred/munge",
            "AuthInfo": f"cred_expire=5,socket={folder}/munge.socket",
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "JobAcctGatherType": "jobacct_gather/none",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core_Memory",
            "DefMemPerCPU": 1000,
            "SlurmdParameters": "config_overrides",
            "MpiDefault": "none",
            "SwitchType": "switch/none",
            "ReturnToService": 2,
            "KillWait": 5,
            "JobRequeue": 1,
            "MinJobAge": 3600,
            "SchedulerParameters": "batch_sched_delay=0,sched_interval=1,bf_interval=1",
            "JobCompType": "jobcomp/filetxt",
            "JobCompLoc": folder / "jobcomp.log",
            "AccountingStorageType": "accounting_storage/none",
            "StateSaveLocation": folder / "state",
            "SlurmdSpoolDir": folder / "spool",
            "SlurmctldPidFile": folder / "slurmctld.pid",
            "SlurmdPidFile": folder / "slurmd.pid",
            "SlurmctldLogFile": folder / "slurmctld.log",
            "SlurmdLogFile": folder / "slurmd.log",
        }
        lines = [f"{key}={value}" for key, value in options.items()]
        lines += [
            f"NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=64000 State=UNKNOWN",
            f"PartitionName=debug Nodes={host} Default=YES MaxTime=02:00:00 State=UP",
            f"PartitionName=short Nodes={host} MaxTime=00:10:00 State=UP",
        ]
        return "\n".join(lines) + "\n"

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        self.folder.chmod(0o755)
        files = {
            "key-file": key,
            "socket": self.folder / "munge.socket",
            "pid-file": self.folder / "munge.pid",
            "seed-file": self.folder / "munge.seed",
            "log-file": self.folder / "munge.log",
        }
        options = [f"--{name}={path}" for name, path in files.items()]
        self._start("munged", "--foreground", *options)
        self._wait_for(lambda: files["socket"].exists(), "munge")

    def _start(self, program: str, *options: str) -> None:
        command = [shutil.which(program, path=self.environment["PATH"]), *options]
        with (self.folder / f"{program}.out").open("wb") as log:
            self._daemons.append(
                subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
            )

    def _wait_until_idle(self) -> None:
        def is_idle() -> bool:
            state = self.run("sinfo", "-h", "-p", "debug", "-o", "%t", check=False)
            return state.stdout.strip() == "idle"

        self._wait_for(is_idle, "the node")

    def _wait_for(self, is_there, what: str, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not is_there():
            if time.monotonic() > end:
                logs = "\n".join(path.read_text() for path in self.folder.glob("*.out"))
                raise TimeoutError(f"{what} did not come up in {seconds} s\n{logs}")
            time.sleep(0.2)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess:
        """What a command of SLURM did and said."""
        return subprocess.run(
            command, env=self.environment, check=check, capture_output=True, text=True
        )

    def wait(self, job: str, seconds: float = 300) -> str:
        """State of a job when it has ended."""
        return self.wait_for(job, lambda state: state in ENDED, seconds)

    def wait_for(self, job: str, is_right, seconds: float = 300) -> str:
        """State of a job as soon as it is right."""
        end = time.monotonic() + seconds
        while not is_right(state := self.field(job, "JobState")):
            if time.monotonic() > end:
                raise TimeoutError(f"job {job} is {state} after {seconds} s")
            time.sleep(0.5)
        return state

    def field(self, job: str, name: str) -> str:
        """One field of ``scontrol show job``."""
        text = self.run("scontrol", "show", "job", "--oneliner", job).stdout
        return dict(re.findall(r"(\w+)=(\S*)", text.splitlines()[0]))[name]
