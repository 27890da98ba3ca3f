"""How long an action takes, again and again."""

import time
from collections.abc import Callable
from statistics import median

WARM_UP_SECONDS = 0.2
MIN_REPEATS = 3


def median_seconds(action: Callable[[], object], seconds: float = 1.0) -> float:
    """Median time of the action, repeated for some seconds after it got warm.

    Parameters
    ----------
    action : callable
        What is timed.
    seconds : float
        How long to repeat it; at least ``MIN_REPEATS`` times.
    """
    _repeat(action, WARM_UP_SECONDS, 1)
    return median(_repeat(action, seconds, MIN_REPEATS))


def _repeat(action: Callable[[], object], seconds: float, at_least: int) -> list[float]:
    found: list[float] = []
    end = time.perf_counter() + seconds
    while len(found) < at_least or time.perf_counter() < end:
        started = time.perf_counter()
        action()
        found.append(time.perf_counter() - started)
    return found
