"""Work in parallel processes, each of which may die without harm to the others."""

import gc
import importlib
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from cherenkov_mlops.errors import DataError

#: One thread a process: as many processes as processors run side by side.
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "BLOSC_NTHREADS",
)


class _Lane:
    """One worker process that does one thing after the other.

    It ends at once when the other end of its line is closed: by ``stop``, or because this process
    was killed.

    Parameters
    ----------
    module : str
        What the process imports first.
    """

    def __init__(self, module: str) -> None:
        # A child process must not inherit what this one has open, hence "spawn".
        context = get_context("spawn")
        self._far_end, self._line = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(
            1, mp_context=context, initializer=_start_worker, initargs=(self._far_end, module)
        )

    def submit(self, target: str, argument: Any) -> Future:
        """Result to come of the function that ``target`` names, ``module:function``."""
        return self._executor.submit(_call, target, argument)

    def stop(self) -> None:
        """End the process, in the middle of its work if need be.

        It has nothing to tidy up: an orderly end of the interpreter takes a second.
        """
        self._line.close()
        self._executor.shutdown(cancel_futures=True)
        self._far_end.close()


@dataclass(frozen=True)
class Outcome:
    """What became of one piece of work.

    Parameters
    ----------
    argument : object
        What was to be worked on.
    result : object
        What the function returned; None if it failed.
    reason : str
        Why it failed, one line; empty if it did not.
    """

    argument: Any
    result: Any
    reason: str


def run_each(target: str, arguments: Sequence[Any], jobs: int) -> Iterator[Outcome]:
    """Outcomes of calling a function on each argument, in the order in which they come.

    A call that fails, or whose process dies, is an outcome with a reason; the others go on.

    Parameters
    ----------
    target : str
        ``module:function``. The module is imported by the worker processes only: what is heavy
        to import delays nobody else.
    arguments : sequence
        One for each call.
    jobs : int
        Number of processes.
    """
    waiting = deque(arguments)
    module = target.partition(":")[0]
    idle = [_Lane(module) for _ in range(min(jobs, len(waiting)))]
    lanes = set(idle)
    running: dict[Future, tuple[_Lane, Any]] = {}
    try:
        while waiting or running:
            while waiting and idle:
                lane, argument = idle.pop(), waiting.popleft()
                running[lane.submit(target, argument)] = (lane, argument)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                lane, argument = running.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    lane.stop()
                    lanes.remove(lane)
                    lane = _Lane(module)
                    lanes.add(lane)
                idle.append(lane)
                yield _outcome(argument, future)
    finally:
        for lane in lanes:
            lane.stop()


def _outcome(argument: Any, future: Future) -> Outcome:
    error = future.exception()
    if error is None:
        return Outcome(argument, future.result(), "")
    # The log of the command gets it all; the reason is one line.
    traceback.print_exception(error, file=sys.stderr)
    return Outcome(argument, None, _reason(error))


def _reason(error: BaseException) -> str:
    if isinstance(error, BrokenProcessPool):
        return "its process died, as when the memory is exhausted; try fewer --jobs"
    text = " ".join(str(error).split())
    return text if isinstance(error, DataError) else f"{type(error).__name__}: {text}"


def _call(target: str, argument: Any) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)(argument)


def _start_worker(line: Connection, module: str) -> None:
    # Ctrl-C on a terminal reaches all processes; the parent decides what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in THREADS:
        os.environ.setdefault(name, "1")
    threading.Thread(target=_end_with, args=(line,), daemon=True).start()
    # What is imported stays: looking for garbage in it takes a tenth of the time of the import.
    gc.disable()
    importlib.import_module(module)
    gc.freeze()
    gc.enable()


def _end_with(line: Connection) -> None:
    """End this process when the line is cut."""
    line.poll(None)
    os._exit(1)
