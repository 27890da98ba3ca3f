"""``convert``: simulation files to DL1."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import rich
from rich.progress import MofNCompleteColumn, Progress

from cherenkov_mlops.conversion.converting import (
    Converted,
    convert_all,
    find_mixed_particles,
    find_shared_runs,
    make_plan,
)
from cherenkov_mlops.conversion.options import ConvertOptions, find_simtel
from cherenkov_mlops.errors import UserError

log = logging.getLogger(__name__)


def run(
    inputs: Sequence[str],
    folder: Path,
    options: ConvertOptions,
    *,
    jobs: int | None = None,
    force: bool = False,
) -> list[Converted]:
    """Convert the inputs; return what became of each, in their order.

    Parameters
    ----------
    inputs : sequence of str
        Files, patterns, or folders of simtel files.
    folder : Path
        For the DL1 files and ``convert.json``.
    options : ConvertOptions
        What the outputs hold.
    jobs : int, optional
        Files at a time; by default one a processor.
    force : bool
        Convert again what is there.

    Raises
    ------
    DataError
        An input names no file.
    UserError
        An option is out of range, two inputs would have the same output, or an output is there
        that this command did not make with these options.
    """
    if jobs is not None and jobs < 1:
        raise UserError(f"--jobs: expected a positive number, got {jobs}")
    sources = find_simtel(inputs)
    plan = make_plan(sources, folder, options, force=force)
    if plan.finished:
        log.info("%d of %d files are converted already", len(plan.finished), len(sources))
    folder.mkdir(parents=True, exist_ok=True)
    converted = list(plan.finished)
    console = rich.get_console()
    columns = [*Progress.get_default_columns(), MofNCompleteColumn()]
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        row = bar.add_task("converting", total=len(plan.todo))
        # Without work no process is started.
        outcomes = convert_all(plan, jobs or os.cpu_count() or 1) if plan.todo else ()
        for number, each in enumerate(outcomes, start=1):
            converted.append(each)
            bar.advance(row)
            _say(each, f"{number}/{len(plan.todo)}", quiet=console.is_terminal)
    order = {path.resolve(): number for number, path in enumerate(sources)}
    converted.sort(key=lambda each: order[each.source.resolve()])
    for line in [*find_shared_runs(converted), find_mixed_particles(converted)]:
        if line:
            log.warning("%s", line)
    return converted


def _say(each: Converted, place: str, *, quiet: bool) -> None:
    """Tell what became of one file; where a bar is shown, only what is amiss."""
    for note in each.facts.get("notes", ()):
        log.warning("%s: %s", each.source, note)
    if each.reason:
        log.warning("%s: failed: %s", each.source, each.reason)
    elif not quiet:
        facts = each.facts
        n_images = sum(facts["images"].values())
        counts = f"{facts['events']} events, {n_images} images, {facts['seconds']:.1f} s"
        log.info("%s %s: %s", place, each.output.name, counts)
