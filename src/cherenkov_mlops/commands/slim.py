"""``slim``: DL1 files without waveforms and what else training does not need."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cherenkov_mlops.conversion.ledger import Fingerprint, Ledger
from cherenkov_mlops.conversion.slimming import SlimOptions, slim_file
from cherenkov_mlops.data.files import expand_patterns
from cherenkov_mlops.data.progress import with_progress
from cherenkov_mlops.errors import UserError

log = logging.getLogger(__name__)


def run(
    inputs: Sequence[str], folder: Path, options: SlimOptions, *, force: bool = False
) -> list[Path]:
    """Write slim files, with the names of the inputs; return them.

    Parameters
    ----------
    inputs : sequence of str
        Files, patterns, or folders of ``*.h5``.
    folder : Path
        For the outputs and ``slim.json``.
    options : SlimOptions
        What is kept and how it is compressed.
    force : bool
        Write again what is there.

    Raises
    ------
    DataError
        An input is no DL1 file.
    UserError
        Two inputs have the same name, an input would be overwritten, or an output is there that
        this command did not make with these options.
    """
    paths = list(dict.fromkeys(path for name in inputs for path in expand_patterns([name], "slim")))
    owners: dict[Path, Path] = {}
    for path in paths:
        output = folder / path.name
        if output.resolve() == path.resolve():
            raise UserError(f"{path}: would be overwritten; write another folder after -o")
        if output in owners:
            raise UserError(
                f"{path}: would be written to {output}, as {owners[output]} would; "
                "slim them into two folders"
            )
        owners[output] = path
    recorded, ledger = asdict(options), Ledger(folder, "slim")
    todo = [
        path.resolve()
        for output, path in owners.items()
        if not ledger.is_finished(output, [path], recorded, force=force)
    ]
    if len(todo) < len(paths):
        log.info("%d of %d files are slim already", len(paths) - len(todo), len(paths))
    ledger.begin([folder / path.name for path in todo], recorded)
    for path in with_progress(todo, "slimming"):
        output = folder / path.name
        slimmed = slim_file(path, output, options)
        prints = {path: Fingerprint.of(path)}
        ledger.finish(output, prints, Fingerprint.of(output), recorded, asdict(slimmed))
        what = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in slimmed.dropped.items())
        log.info(
            "%s: %.1f MB -> %.1f MB, %.1f %% saved%s",
            output,
            slimmed.size_before / 1e6,
            slimmed.size_after / 1e6,
            100 * slimmed.saved,
            f"; without {what}" if what else "",
        )
    return list(owners)
