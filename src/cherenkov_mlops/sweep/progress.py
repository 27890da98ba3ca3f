"""What a sweep shows while it runs: a bar on a terminal, else one line a run."""

import logging
import time
from collections.abc import Sequence

import rich
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from cherenkov_mlops.sweep.processes import Ended

log = logging.getLogger(__name__)


class Progress:
    """Shows how far the runs are.

    Parameters
    ----------
    n_runs : int
        Runs to do.
    """

    def __init__(self, n_runs: int):
        self.n_runs = n_runs
        self.n_ended = self.n_failed = 0
        self.started = time.monotonic()
        columns = (
            TextColumn("sweep"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        console = rich.get_console()
        self.bar = Bar(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.task = self.bar.add_task("", total=n_runs)

    def __enter__(self) -> "Progress":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def show(self, names: Sequence[str]) -> None:
        """Say what runs now."""
        failed = f"{self.n_failed} failed  " if self.n_failed else ""
        text = f"{self._left()}{failed}{', '.join(names)}"
        self.bar.update(self.task, completed=self.n_ended, description=text)

    def tell(self, ended: Ended, error: str) -> None:
        """One line about a run that ended."""
        self.n_ended += 1
        self.n_failed += bool(ended.code)
        how = f"FAILED ({error or f'exit code {ended.code}'})" if ended.code else "done"
        log.info(
            "sweep: [%d/%d] %s: %s, %.0f s%s",
            self.n_ended,
            self.n_runs,
            ended.job.name,
            how,
            ended.seconds,
            f"; {self._left().strip()}" if self.n_ended < self.n_runs else "",
        )

    def _left(self) -> str:
        """Time until the end, if the rest takes as long as what is done."""
        if not self.n_ended:
            return ""
        passed = time.monotonic() - self.started
        seconds = passed / self.n_ended * (self.n_runs - self.n_ended)
        return (
            f"about {seconds / 60:.0f} min left  " if seconds >= 90 else f"{seconds:.0f} s left  "
        )
