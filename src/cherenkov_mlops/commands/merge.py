"""``merge``: many DL1 files into a few."""

import logging
from collections.abc import Sequence
from pathlib import Path

from cherenkov_mlops.conversion.ledger import Fingerprint, Ledger
from cherenkov_mlops.conversion.merging import (
    Contents,
    check_mergeable,
    merge_files,
    read_contents,
    share_out,
)
from cherenkov_mlops.data.files import expand_patterns
from cherenkov_mlops.data.progress import with_progress
from cherenkov_mlops.errors import DataError, UserError

log = logging.getLogger(__name__)

OPTIONS = {"merger": "ctapipe"}


def run(
    inputs: Sequence[str],
    folder: Path,
    *,
    into: int = 1,
    name: str = "merged",
    remove_inputs: bool = False,
    force: bool = False,
) -> list[Path]:
    """Merge the inputs into ``<name>.dl1.h5`` or ``<name>_1.dl1.h5`` and so on.

    Parameters
    ----------
    inputs : sequence of str
        Files, patterns, or folders of ``*.h5``; rows are kept in their order.
    folder : Path
        For the outputs and ``merge.json``.
    into : int
        Number of outputs, of about the same number of images.
    name : str
        Begin of the names of the outputs.
    remove_inputs : bool
        Remove the inputs once all rows of all of them have been found in the outputs.
    force : bool
        Replace outputs that are there.

    Raises
    ------
    DataError
        Files cannot be merged: arrays differ, runs are given twice, or tables are missing.
    UserError
        More outputs than inputs, or an output is there that was made of something else.
    """
    paths = list(
        dict.fromkeys(path for each in inputs for path in expand_patterns([each], "merge"))
    )
    if not 1 <= into <= len(paths):
        raise UserError(f"--into: expected 1 to {len(paths)}, the number of inputs, got {into}")
    digits = len(str(into))
    numbers = [""] if into == 1 else [f"_{n:0{digits}d}" for n in range(1, into + 1)]
    outputs = [folder / f"{name}{number}.dl1.h5" for number in numbers]
    twice = {path.resolve() for path in paths} & {path.resolve() for path in outputs}
    if twice:
        raise UserError(f"{twice.pop()}: is an input and an output; write another --name")
    contents = [read_contents(path) for path in with_progress(paths, "reading contents")]
    check_mergeable(contents)
    # A file without images weighs something too: one event.
    groups = share_out([each.n_images + each.n_events for each in contents], into)
    left_out = merge_groups([contents[group] for group in groups], outputs, folder, force)
    if remove_inputs:
        if left_out:
            raise DataError(
                f"the inputs are kept: {left_out[0]} is in them only; look at it, then remove them "
                "yourself"
            )
        for path in paths:
            path.unlink()
        log.info("%d inputs removed: all of their rows are in the outputs", len(paths))
    return outputs


def merge_groups(
    groups: Sequence[Sequence[Contents]], outputs: Sequence[Path], folder: Path, force: bool
) -> list[str]:
    """Write one output a group, those left out that are there; return what was not merged.

    Raises
    ------
    UserError
        An output was merged of other files, and ``force`` is not set.
    """
    ledger = Ledger(folder, "merge")
    inputs = [[each.path.resolve() for each in group] for group in groups]
    todo = []
    for output, paths in zip(outputs, inputs, strict=True):
        if not ledger.is_finished(output, paths, OPTIONS, force=force):
            todo.append(output)
    for output in todo:
        if not force and ledger.is_whole(output):
            raise UserError(
                f"{output}: was merged of other files, or of files that changed since; write "
                "--force to make it again, or another --name"
            )
    ledger.begin(todo, OPTIONS)
    left_out: set[str] = set()
    for group, paths, output in zip(groups, inputs, outputs, strict=True):
        if output not in todo:
            log.info("%s: is merged already", output)
            left_out.update(ledger.facts(output)["left_out"])
            continue
        missing = merge_files(group, output)
        facts = {
            "events": sum(each.n_events for each in group),
            "images": sum(each.n_images for each in group),
            "left_out": missing,
        }
        prints = {path: Fingerprint.of(path) for path in paths}
        ledger.finish(output, prints, Fingerprint.of(output), OPTIONS, facts)
        left_out.update(missing)
        message = "%s: %d files, %d events, %d images"
        log.info(message, output, len(group), facts["events"], facts["images"])
    for table in sorted(left_out):
        log.warning("%s is not in the outputs: ctapipe does not merge it", table)
    return sorted(left_out)
