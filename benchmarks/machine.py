"""What a measurement was made on and how: the machine's name, one core, taking turns."""

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from threadpoolctl import threadpool_limits

PACKAGES = ("tensorflow", "keras", "ctlearn", "dl1_data_handler", "ctapipe", "tables", "numpy")


def describe_machine() -> str:
    """Processor, cores, memory and versions, two lines."""
    cores = len(os.sched_getaffinity(0))
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{_processor()}, {cores} cores, {memory_gb:.0f} GB, {platform.system()} "
        f"{platform.machine()}\nPython {platform.python_version()}, {versions}"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def use_one_core() -> int:
    """The core on which all threads of this process run from now on."""
    core = max(os.sched_getaffinity(0))
    # Threads of linear algebra that wait for each other on one core would stand in the way.
    threadpool_limits(1)
    # Libraries have started threads already: each keeps an affinity of its own.
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), {core})
    return core


def seconds_of(action: Callable[[], object]) -> float:
    """Seconds that the action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def take_turns(actions: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each action returns, round by round; all of them once a round: noise hits all."""
    found: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            found[name].append(action())
    return found
