"""Pixels of selected images in memory-mapped files, shared between runs, tasks and sweeps."""

import hashlib
import json
import logging
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.dl1.staging import open_staged
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.provenance import timestamp
from cherenkov_mlops.run_dir import RunDir

log = logging.getLogger(__name__)

#: Part of each key: to be raised when entries of an older version must not be read any more.
FORMAT = 1
SUFFIX = ".pixels"
FLOAT16_MAX = 65504.0


@dataclass(frozen=True)
class Content:
    """What an entry holds; equal contents have one entry, wherever they are asked for.

    Parameters
    ----------
    sha256 : str
        Digest of the input file.
    images : str
        Digest of which images of the file were selected, in which order.
    shape : tuple of int
        Images, pixels, channels.
    dtype : str
        ``float32`` or ``float16``.
    pixels : dict
        Options that decide the values of the pixels.
    versions : dict
        Versions of the packages that decide them.
    """

    sha256: str
    images: str
    shape: tuple[int, int, int]
    dtype: str
    pixels: dict[str, Any]
    versions: dict[str, str]

    @property
    def key(self) -> str:
        """Name of the entry."""
        text = json.dumps([FORMAT, asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Entry:
    """One entry of a cache, as it lies on the disk.

    Parameters
    ----------
    path : Path
        Folder of the entry.
    """

    path: Path

    @property
    def data(self) -> Path:
        """The pixels, NumPy's format."""
        return self.path / "pixels.npy"

    @property
    def description(self) -> Path:
        """What the entry holds, and the file it was made from."""
        return self.path / "entry.json"

    @property
    def n_bytes(self) -> int:
        """Size on disk."""
        return sum(path.stat().st_size for path in self.path.glob("*"))

    @property
    def last_used(self) -> float:
        """Time of the last use, seconds since 1970."""
        return self.description.stat().st_mtime

    def read_description(self) -> dict[str, Any]:
        """Content and origin; empty if the file is missing or damaged."""
        try:
            return json.loads(self.description.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def open(self, content: Content) -> np.ndarray | None:
        """The pixels, mapped from the file; None if they are not whole."""
        try:
            pixels = np.load(self.data, mmap_mode="r")
        except (OSError, ValueError, EOFError):
            # NumPy's answer to a file that is shorter than its header says.
            return None
        if pixels.shape != tuple(content.shape) or pixels.dtype != content.dtype:
            return None
        self.description.touch()
        return pixels


class PixelCache:
    """Entries below a folder, one for each input file and selection of its images.

    Parameters
    ----------
    folder : Path
        Where the entries are; made when the first one is written.
    dtype : {"float32", "float16"}
        float32 keeps every bit; float16 needs half the room and keeps three digits.
    local : Path, optional
        Folder on a fast disk of this node, from which copies of the entries are read.
    """

    def __init__(self, folder: Path, dtype: str = "float32", local: Path | None = None):
        self.folder = Path(folder)
        self.dtype = dtype
        self.local = local

    def entry(self, content: Content) -> Entry:
        """Where the entry is, or would be."""
        return Entry(self.folder / f"{content.key}{SUFFIX}")

    def digest(self, source: Path) -> str:
        """Digest of a file; read from an entry where size and time of change are unchanged."""
        status = source.stat()
        for _, origin in self._made_from[str(source)]:
            if origin == _origin(source, origin["sha256"], status):
                return origin["sha256"]
        with source.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    @cached_property
    def _made_from(self) -> dict[str, list[tuple[Entry, dict[str, Any]]]]:
        """Entries that were there at first use, with their origins, by path of the input."""
        entries = defaultdict(list)
        for path in self.folder.glob(f"*{SUFFIX}"):
            origin = Entry(path).read_description().get("origin", {})
            entries[origin.get("path", "")].append((Entry(path), origin))
        return entries

    def open(
        self, content: Content, source: Path, pieces: Callable[[], Iterable[np.ndarray]]
    ) -> np.ndarray:
        """Pixels of the content, mapped from its entry, which is built if it is not there.

        Several processes may ask at once: one builds, the others wait for it.

        Parameters
        ----------
        content : Content
            What is wanted.
        source : Path
            The input file.
        pieces : callable
            Gives the pixels piece by piece, in order; called only to build.

        Raises
        ------
        DataError
            A value does not fit into float16.
        """
        entry = self.entry(content)
        pixels = entry.open(content)
        if pixels is None:
            pixels = self._open_new(entry, content, source, pieces)
        staged = None if self.local is None else open_staged(entry, content, self.local)
        return pixels if staged is None else staged

    def _open_new(
        self,
        entry: Entry,
        content: Content,
        source: Path,
        pieces: Callable[[], Iterable[np.ndarray]],
    ) -> np.ndarray:
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f".{content.key}.lock"):
            # Another process may have built it while this one waited.
            pixels = entry.open(content)
            if pixels is None:
                self._discard(entry, source, content)
                self._build(entry, content, source, pieces())
                pixels = entry.open(content)
        if pixels is None:
            raise DataError(f"{entry.path}: cannot be read back; is the disk damaged?")
        return pixels

    def _discard(self, entry: Entry, source: Path, content: Content) -> None:
        """Remove what a kill left, what is damaged, and what was made from an older input."""
        for left in self.folder.glob(f".{content.key}.*.tmp"):
            shutil.rmtree(left)
        if entry.path.exists():
            log.warning("cache: %s is damaged; it is built again", entry.path)
            shutil.rmtree(entry.path)
        for other, origin in self._made_from[str(source)]:
            if origin["sha256"] != content.sha256 and other.path.exists():
                log.info("cache: %s changed since its pixels were read; reading it anew", source)
                shutil.rmtree(other.path, ignore_errors=True)

    def _build(
        self, entry: Entry, content: Content, source: Path, pieces: Iterable[np.ndarray]
    ) -> None:
        started = time.perf_counter()
        growing = Entry(self.folder / f".{content.key}.{os.getpid()}.tmp")
        try:
            growing.path.mkdir()
            _write_pixels(growing.data, content, pieces, source)
            description = {
                "content": asdict(content),
                "origin": _origin(source, content.sha256, source.stat()),
                "built": timestamp(),
            }
            _write_synchronised(growing.description, json.dumps(description, indent=1).encode())
            growing.path.rename(entry.path)
        finally:
            shutil.rmtree(growing.path, ignore_errors=True)
        log.info(
            "cache: %s: %d images, %.0f MB, in %.1f s",
            source.name,
            content.shape[0],
            entry.n_bytes / 1e6,
            time.perf_counter() - started,
        )


def find_entries(folder: Path) -> list[Entry]:
    """Entries in a folder and all folders below it."""
    return [Entry(path) for path in sorted(folder.rglob(f"*{SUFFIX}")) if path.is_dir()]


def remove_entry(entry: Entry) -> None:
    """Remove an entry; a process that reads from it can go on doing so."""
    shutil.rmtree(entry.path, ignore_errors=True)
    (entry.path.parent / f".{entry.path.stem}.lock").unlink(missing_ok=True)


def _origin(source: Path, sha256: str, status: os.stat_result) -> dict[str, Any]:
    return {
        "path": str(source),
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "sha256": sha256,
    }


def _write_pixels(path: Path, content: Content, pieces: Iterable[np.ndarray], source: Path) -> None:
    header = {"descr": np.dtype(content.dtype).str, "fortran_order": False, "shape": content.shape}
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for piece in pieces:
            if content.dtype == "float16" and np.abs(piece).max(initial=0) > FLOAT16_MAX:
                raise DataError(
                    f"{source}: pixel values up to {np.abs(piece).max():.3g} do not fit into "
                    "float16; write data.cache_dtype: float32"
                )
            stream.write(np.ascontiguousarray(piece, dtype=content.dtype).data)
        stream.flush()
        os.fsync(stream.fileno())


def _write_synchronised(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def pixel_cache(config: RunConfig, run_dir: RunDir) -> PixelCache | None:
    """Where the run keeps copies of its pixels; None if it reads HDF5."""
    if not config.data.cache:
        return None
    folder = config.data.cache_dir or run_dir.cache
    return PixelCache(folder, config.data.cache_dtype, config.data.cache_local_dir)
