"""Events that are trained on and tested on."""

import logging
from contextlib import suppress
from pathlib import Path

import numpy as np

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.file_look import recall_keys
from cherenkov_mlops.data.files import LABELS, expand_patterns
from cherenkov_mlops.data.findings import Finding, join
from cherenkov_mlops.data.inputs import Inputs
from cherenkov_mlops.errors import DataError

log = logging.getLogger(__name__)


def warn_of_overlap(training: Inputs, testing: Inputs) -> list[str]:
    """Test files with events that were also trained on; each is said in the log.

    Training files that are gone since are compared by their digests only.
    """
    digests = {file.sha256 for file in training.all_files()}
    trained_on = training.shower_keys()
    overlap = []
    for file in testing.all_files():
        path = Path(file.path)
        keys = testing.looks[path].keys if path in testing.looks else recall_keys(path)
        n_shared = int(np.isin(keys, trained_on).sum())
        if n_shared or file.sha256 in digests:
            overlap.append(file.path)
            log.warning(
                "%s: the model was trained on %d of its %d events; its metrics are too good",
                file.path,
                n_shared or len(keys),
                len(keys),
            )
    return overlap


def overlap_findings(config: RunConfig, training: Inputs) -> list[Finding]:
    """Whether test files that are already there hold events that are to be trained on."""
    # Test files may still be missing when a run is prepared.
    paths: set[Path] = set()
    for label in LABELS if config.task == "type" else LABELS[:1]:
        for pattern in getattr(config.data.test, label):
            with suppress(DataError):
                paths.update(expand_patterns([pattern], ""))
    if not paths:
        return []
    trained_on = training.shower_keys()
    shared = {}
    for path in sorted(paths):
        try:
            shared[path.name] = int(np.isin(recall_keys(path), trained_on).sum())
        except DataError:
            # The stage that needs this file says what is wrong with it.
            continue
    names = [f"{name} ({n:,} events)" for name, n in shared.items() if n]
    if not names:
        return []
    text = (
        f"Test files hold events that are trained on: {join(names)}. Their metrics will be too "
        "good; give other files as data.test."
    )
    return [Finding("failure", "overlap", text)]
