"""How much time is left, and who asks for an end."""

import os
import signal
import threading
import time
from types import FrameType

# Both are what SLURM sends ahead of a job's end; USR2 by `--signal=B:USR2@300`.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR2)
SLURM_END = "SLURM_JOB_END_TIME"
MARGIN = 1.3


class TimeLimit:
    """When the work has to be over.

    Parameters
    ----------
    deadline : float, optional
        Time given by the user, in seconds since 1970.
    """

    def __init__(self, deadline: float | None = None):
        self.deadline = deadline

    @property
    def is_reached(self) -> bool:
        """Whether the user's deadline is over."""
        return self.deadline is not None and time.time() >= self.deadline

    def seconds_left(self) -> float | None:
        """Time [s] to the deadline, else to the end of the SLURM job; None if neither is known."""
        end = self.deadline
        if end is None:
            stated = os.environ.get(SLURM_END, "")
            end = float(stated) if stated.isdecimal() else None
        return None if end is None else end - time.time()

    def allows(self, seconds: float) -> bool:
        """Whether the time left is known and enough for work that took so long before."""
        left = self.seconds_left()
        return left is not None and left > MARGIN * seconds


class StopRequests:
    """Context in which TERM and USR2 are noted in ``received`` instead of ending the program.

    Ctrl-C interrupts as ever, and is noted in ``is_interrupted``: an exception that comes inside
    a callback of the interpreter (``__del__``, say) is printed and lost.
    """

    def __init__(self):
        self.received: str | None = None
        self.is_interrupted = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "StopRequests":
        # Python gives signals to the main thread only, and lets only that one ask for them.
        if threading.current_thread() is threading.main_thread():
            handlers = dict.fromkeys(STOP_SIGNALS, self._note)
            # A shell lets work in the background ignore Ctrl-C.
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                handlers[signal.SIGINT] = self._interrupt
            self._before = {number: signal.signal(number, do) for number, do in handlers.items()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number).name

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.is_interrupted = True
        raise KeyboardInterrupt
