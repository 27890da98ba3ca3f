"""Several commands side by side, each on cores of its own.

Not the processes of :mod:`cherenkov_mlops.conversion.lanes`: those stay for many files, return
objects and may be cut off anywhere; these are whole programs that note their state when stopped.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: Read by the numerical libraries when they start.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
#: Python text that runs a command; its words are in ``sys.argv``.
_START = "from cherenkov_mlops.cli.app import main; main()"
#: Goes before it: the cores, first of the words, are set before a library counts them.
_BIND = """
import os, sys
from contextlib import suppress
with suppress(OSError):
    os.sched_setaffinity(0, {int(core) for core in sys.argv.pop(1).split(",")})
"""
_POLL_S = 0.2
#: Time that a stopped process has to end its batch and note its state, then it is killed.
GRACE_S = 60.0


@dataclass(frozen=True)
class Job:
    """One command.

    Parameters
    ----------
    name : str
        What it is called.
    arguments : tuple of str
        Words after ``cherenkov-mlops``.
    log : pathlib.Path
        File that takes what it says.
    """

    name: str
    arguments: tuple[str, ...]
    log: Path


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    job: Job
    code: int
    seconds: float


@dataclass
class _Running:
    job: Job
    process: subprocess.Popen
    lane: int
    started: float


def share_cores(n_lanes: int) -> list[list[int]]:
    """Cores of each lane: all that this process may use, shared as evenly as they can be."""
    # What a batch system or `taskset` left to this process, not what the machine has.
    cores = sorted(os.sched_getaffinity(0))
    # More lanes than cores: a core serves several.
    if n_lanes >= len(cores):
        return [[cores[lane % len(cores)]] for lane in range(n_lanes)]
    return [cores[lane::n_lanes] for lane in range(n_lanes)]


class Processes:
    """Run commands side by side; stop them all when it is left early.

    Parameters
    ----------
    n_lanes : int
        How many at a time.
    """

    def __init__(self, n_lanes: int):
        self.cores = share_cores(n_lanes)
        self.running: list[_Running] = []

    @property
    def names(self) -> list[str]:
        """What runs now."""
        return [each.job.name for each in self.running]

    def run(self, jobs: Sequence[Job]) -> Iterator[Ended | None]:
        """Run the commands; yield each as it ends, and None in between, to show what goes on."""
        waiting = list(jobs)
        try:
            while waiting or self.running:
                while waiting and len(self.running) < len(self.cores):
                    self.running.append(self._start(waiting.pop(0)))
                for each in list(self.running):
                    code = each.process.poll()
                    if code is not None:
                        self.running.remove(each)
                        yield Ended(each.job, code, time.monotonic() - each.started)
                yield None
                time.sleep(_POLL_S)
        finally:
            self._stop()

    def _start(self, job: Job) -> _Running:
        lane = min(set(range(len(self.cores))) - {each.lane for each in self.running})
        cores = self.cores[lane]
        threads = dict.fromkeys(_THREAD_VARIABLES, str(len(cores)))
        words = [",".join(map(str, cores)), *job.arguments]
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open("ab") as log:
            # In a session of its own: Ctrl-C reaches this process alone, which ends the others.
            process = subprocess.Popen(
                [sys.executable, "-c", _BIND + _START, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | threads,
                start_new_session=True,
            )
        return _Running(job, process, lane, time.monotonic())

    def _stop(self) -> None:
        """Ask what still runs to end, as Ctrl-C does; kill what does not listen."""
        for each in self.running:
            _signal(each.process, signal.SIGINT)
        deadline = time.monotonic() + GRACE_S
        for each in self.running:
            try:
                each.process.wait(max(deadline - time.monotonic(), 0.1))
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                # A second Ctrl-C means: now.
                deadline = 0
        for each in self.running:
            if each.process.poll() is None:
                _signal(each.process, signal.SIGKILL)
                each.process.wait()
        self.running.clear()


def _signal(process: subprocess.Popen, number: int) -> None:
    # The whole group: also the loaders that a training has started.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
