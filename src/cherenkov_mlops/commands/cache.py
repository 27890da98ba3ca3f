"""``cache list`` and ``cache clear``: copies of pixels below a folder."""

import logging
import time
from pathlib import Path

from cherenkov_mlops.dl1.pixel_cache import Entry, find_entries, remove_entry
from cherenkov_mlops.errors import DataError

log = logging.getLogger(__name__)

SECONDS_A_DAY = 86_400


def describe_entries(folder: Path) -> list[dict[str, str]]:
    """Describe the entries below the folder, one row each: content, size, days since its last use.

    Raises
    ------
    DataError
        The folder is not there.
    """
    rows = []
    for entry in _find(folder):
        description = entry.read_description()
        content = description.get("content", {})
        images, n_pixels, n_channels = content.get("shape", ("?", "?", "?"))
        pixels = content.get("pixels", {})
        rows.append(
            {
                "file": str(description.get("origin", {}).get("path", "damaged")),
                "pixels": ", ".join(pixels.get("channels", [pixels.get("kind", "?")])),
                "shape": f"{images} x {n_pixels} x {n_channels}",
                "type": content.get("dtype", "?"),
                "MB": f"{entry.n_bytes / 1e6:.1f}",
                "days unused": f"{_days_unused(entry):.1f}",
            }
        )
    return rows


def clear(folder: Path, older_than_days: float = 0.0) -> int:
    """Remove entries below the folder that were not used of late; return the bytes freed."""
    freed = 0
    for entry in _find(folder):
        if _days_unused(entry) >= older_than_days:
            freed += entry.n_bytes
            remove_entry(entry)
            log.info("cache: removed %s", entry.path)
    return freed


def _find(folder: Path) -> list[Entry]:
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder with copies of pixels, found none")
    return find_entries(folder)


def _days_unused(entry: Entry) -> float:
    return (time.time() - entry.last_used) / SECONDS_A_DAY
