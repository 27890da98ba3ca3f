"""Work in parallel processes, each of which may die without harm to the others.

A pool of :mod:`concurrent.futures` breaks as a whole when one of its processes dies, and does not
say which piece of work was the reason: hence a pool of one process for each lane.
"""

import gc
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
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


class Lane:
    """One worker process that does one thing after the other.

    It ends at once when the other end of its line is closed: by ``stop``, or because this process
    was killed.

    Parameters
    ----------
    prepare : callable
        What the process does first, such as importing; a function of a module.
    """

    def __init__(self, prepare: Callable[[], Any]) -> None:
        # A child process must not inherit what this one has open, hence "spawn".
        context = get_context("spawn")
        self._far_end, self._line = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(
            1, mp_context=context, initializer=_start_worker, initargs=(self._far_end, prepare)
        )

    def submit(self, function: Callable[[Any], Any], argument: Any) -> Future:
        """Have the process call a function of a module; the result is to come."""
        return self._executor.submit(function, argument)

    def stop(self) -> None:
        """End the process, in the middle of its work if need be.

        It has nothing to tidy up: an orderly end of the interpreter takes a second.
        """
        self._line.close()
        self._executor.shutdown(cancel_futures=True)
        self._far_end.close()


def run_each(
    function: Callable[[Any], Any],
    arguments: Sequence[Any],
    jobs: int,
    prepare: Callable[[], Any] = int,
) -> Iterator[Outcome]:
    """Call a function on each argument; yield the outcomes in the order in which they come.

    A call that fails, or whose process dies, is an outcome with a reason; the others go on.

    Parameters
    ----------
    function : callable
        A function of a module: processes get it by its name. What is heavy to import belongs into
        its body, then it delays nobody else.
    arguments : sequence
        One for each call.
    jobs : int
        Number of processes.
    prepare : callable
        Called once in each process, before the first call.
    """
    waiting = deque(arguments)
    idle = [Lane(prepare) for _ in range(min(jobs, len(waiting)))]
    lanes = set(idle)
    running: dict[Future, tuple[Lane, Any]] = {}
    try:
        while waiting or running:
            while waiting and idle:
                lane, argument = idle.pop(), waiting.popleft()
                running[lane.submit(function, argument)] = (lane, argument)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                lane, argument = running.pop(future)
                error = future.exception()
                # Its process is gone: the lane gets a new one, the others do not notice.
                if isinstance(error, BrokenProcessPool):
                    lane.stop()
                    lanes.remove(lane)
                    lane = Lane(prepare)
                    lanes.add(lane)
                idle.append(lane)
                if error is None:
                    yield Outcome(argument, future.result(), "")
                    continue
                # The log of the command gets it all; the reason is one line.
                traceback.print_exception(error, file=sys.stderr)
                reason = " ".join(str(error).split())
                if isinstance(error, BrokenProcessPool):
                    reason = "its process died, as when the memory is exhausted; try fewer --jobs"
                elif not isinstance(error, DataError):
                    reason = f"{type(error).__name__}: {reason}"
                yield Outcome(argument, None, reason)
    finally:
        for lane in lanes:
            lane.stop()


def _start_worker(line: Connection, prepare: Callable[[], Any]) -> None:
    """Make a new process ready for its work."""
    # Ctrl-C on a terminal reaches all processes; the parent decides what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in THREADS:
        os.environ.setdefault(name, "1")

    # The other end closes with the parent, however that ended; orphans would go on for hours.
    def end_with_line() -> None:
        line.poll(None)
        os._exit(1)

    threading.Thread(target=end_with_line, daemon=True).start()
    # What is imported stays: looking for garbage in it takes a tenth of the time of the import.
    gc.disable()
    prepare()
    gc.freeze()
    gc.enable()
