"""How far a walk through many files has come: a bar on a terminal, else a line now and then."""

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import rich
from rich.progress import Progress

log = logging.getLogger(__name__)

SECONDS_A_LINE = 30.0


def with_progress(paths: Sequence[Path], doing: str) -> Iterator[Path]:
    """The paths one by one; what is done with them is said where it takes long.

    Parameters
    ----------
    paths : sequence of Path
        Files, whose sizes tell how far it is.
    doing : str
        What is done, such as ``checking images``.
    """
    sizes = [path.stat().st_size if path.is_file() else 0 for path in paths]
    console = rich.get_console()
    last = time.monotonic()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(doing, total=sum(sizes))
        for number, (path, size) in enumerate(zip(paths, sizes, strict=True), start=1):
            yield path
            bar.advance(task, size)
            if time.monotonic() - last > SECONDS_A_LINE and number < len(paths):
                last = time.monotonic()
                share = sum(sizes[:number]) / max(sum(sizes), 1)
                log.info("%s: %d of %d files, %.0f %%", doing, number, len(paths), 100 * share)
