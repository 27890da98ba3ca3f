"""Copies of cached pixels on a fast disk of the node that reads them."""

import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock

if TYPE_CHECKING:
    from cherenkov_mlops.dl1.pixel_cache import Content, Entry

log = logging.getLogger(__name__)

#: Part of the free space that a copy may take: others write to the disk, too.
MOST_OF_DISK = 0.9


def open_staged(entry: "Entry", content: "Content", folder: Path) -> np.ndarray | None:
    """The pixels of an entry, mapped from a copy in the folder, which is made if it is not there.

    None, and a line in the log, if the folder cannot have it: then the entry itself is read.

    Parameters
    ----------
    entry : Entry
        Complete entry of a cache.
    content : Content
        What it holds.
    folder : Path
        Folder on the other disk; a variable in its name that is not set (``$SLURM_TMPDIR`` outside
        of a job) means that there is no such disk here.
    """
    if "$" in str(folder):
        return None
    copy = type(entry)(folder / entry.path.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{content.key}.lock"):
            pixels = copy.open(content)
            if pixels is None and _has_room(folder, entry):
                _copy(entry.path, copy.path)
                pixels = copy.open(content)
    except OSError as error:
        log.warning("cache: %s: %s; reading from %s", folder, error.strerror, entry.path)
        return None
    return pixels


def _has_room(folder: Path, entry: "Entry") -> bool:
    free, needed = shutil.disk_usage(folder).free, entry.n_bytes
    if needed <= MOST_OF_DISK * free:
        return True
    log.warning(
        "cache: %s: %.3g GB free, %.3g GB to be copied; reading from %s",
        folder,
        free / 1e9,
        needed / 1e9,
        entry.path,
    )
    return False


def _copy(source: Path, target: Path) -> None:
    growing = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, growing)
        growing.rename(target)
        log.info("cache: copied to %s", target)
    finally:
        shutil.rmtree(growing, ignore_errors=True)
