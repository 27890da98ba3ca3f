"""How fast training batches are read: stock CTLearn against ours, on one core.

``python benchmarks/reading.py`` reads 20,000 simulated SST-1M images and 20,000 images of the
LST's size (1855 pixels, 110 x 110), each with two sets of channels, in batches of 64 in random
order, with the energy as label. Each batch is copied once, as Keras does: memory that nobody
touches costs nothing. Stock (``DLImageReader`` and ``DLDataLoader``) and ours
(``CuredImageReader`` and ``SampledLoader``) take turns in one process on one core:

- ``cache``: pixels from a cache that is there already;
- ``no cache``: pixels from HDF5; tables for which there is room are kept in memory;
- ``from file``: the same, with no room: what happens to files that are much larger.

Rates are medians over the turns, and so are ratios, turn by turn. Before that, batches of stock
and ours are compared bit by bit.

Opening and cache building are measured in a new process each time, forked after the imports: a
second opening may find things in memory. The cold start of the disk is not measured: files are in
the page cache.

``--folder`` keeps the simulated files for the next time; ``--n-images`` makes them small for a
trial (stock is too fast then: a small file fits into the chunk cache of HDF5). The last line is
``RESULT ratio=... nocache=... open=... build=...``: events/s over stock's with cache and without,
the smallest of all; time to open over stock's, and time to build the cache over stock's epoch, the
largest of all.
"""

import argparse
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np
from ctlearn.core.loader import DLDataLoader
from datasets import CLEANED, N_IMAGES, UNCLEANED, lst_size_file, sst1m_file, working_folder
from dl1_data_handler.reader import DLImageReader
from machine import describe_machine, seconds_of, take_turns, use_one_core
from traitlets.config import Config

from cherenkov_mlops.dl1 import reader as reader_module
from cherenkov_mlops.dl1.loader import SampledLoader
from cherenkov_mlops.dl1.pixel_cache import PixelCache
from cherenkov_mlops.dl1.reader import CuredImageReader

BATCH_SIZE = 64
LABELS = ["energy", "cameradirection", "type"]
KINDS = ("stock", "cache", "no cache")
#: Batches a turn: about a tenth of a second each.
TURN = {"stock": 4, "cache": 40, "no cache": 40, "from file": 8}
OURS = tuple(TURN)[1:]
RATES = "{:20} {:>7} {:>8} {:>16} {:>16} {:>16}"
STARTS = "{:20} {:>13} {:>13} {:>13} {:>7} {:>8} {:>12} {:>7}"


@dataclass(frozen=True)
class Case:
    """One data set read with one set of channels, and where its pixel cache is made."""

    name: str
    path: Path
    channels: tuple[str, ...]
    cache: Path

    def open(self, kind: str) -> DLImageReader:
        """CTLearn's reader, or ours: with cache (built if need be), without, with no room."""
        traits = Config({"DLImageReader": {"channels": list(self.channels)}})
        if kind == "stock":
            return DLImageReader(input_url_signal=[self.path], config=traits)
        room = 0 if kind == "from file" else reader_module.KEEP_IN_MEMORY_BYTES
        with patch.object(reader_module, "KEEP_IN_MEMORY_BYTES", room):
            reader = CuredImageReader(input_url_signal=[self.path], config=traits)
        if kind == "cache":
            reader.use_cache(PixelCache(self.cache))
        return reader


@dataclass(frozen=True)
class Start:
    """Seconds before the first epoch, medians: until a reader is open, its first batch, build."""

    opened: dict[str, float]
    first_batch: dict[str, float]
    build: float


@dataclass(frozen=True)
class Measured:
    """All that was measured of one case; rates [events/s] by kind, one a turn."""

    name: str
    n_events: int
    start: Start
    rates: dict[str, list[float]]

    @property
    def stock_epoch(self) -> float:
        """Seconds that stock reads for one epoch."""
        return self.n_events / median(self.rates["stock"])

    def ratio(self, kind: str) -> float:
        """Rate over stock's, median of the turns."""
        pairs = zip(self.rates[kind], self.rates["stock"], strict=True)
        return median(ours / stock for ours, stock in pairs)

    @property
    def ratios(self) -> dict[str, float]:
        """The four numbers of the last line."""
        opened = self.start.opened
        return {
            "ratio": self.ratio("cache"),
            "nocache": self.ratio("no cache"),
            "open": max(opened["cache"], opened["no cache"]) / opened["stock"],
            "build": self.start.build / self.stock_epoch,
        }


def main() -> None:
    """Measure all cases, and print what was measured."""
    options = read_options()
    print(describe_machine())
    print(f"all on core {use_one_core()}, batches of {BATCH_SIZE} in random order", flush=True)
    with working_folder(options.folder) as folder, tempfile.TemporaryDirectory(dir=folder) as name:
        cases = make_cases(folder, Path(name), options.n_images)
        # All starts first: what this process has in memory, its children have too.
        starts = [measure_start(case, options.openings) for case in cases]
        measured = [
            measure_reading(case, start, options.turns)
            for case, start in zip(cases, starts, strict=True)
        ]
    print_tables(measured)
    ratios = [case.ratios for case in measured]
    smallest = {name: min(case[name] for case in ratios) for name in ("ratio", "nocache")}
    largest = {name: max(case[name] for case in ratios) for name in ("open", "build")}
    print("RESULT " + " ".join(f"{k}={v:.3g}" for k, v in (smallest | largest).items()))


def read_options() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="where files are made and kept")
    parser.add_argument("--n-images", type=int, default=N_IMAGES, help="images of each file")
    parser.add_argument("--turns", type=int, default=30, help="turns of reading, for medians")
    parser.add_argument("--openings", type=int, default=5, help="openings of each kind")
    return parser.parse_args()


def make_cases(folder: Path, caches: Path, n_images: int) -> list[Case]:
    """Two files with two sets of channels each."""
    files = {"SST-1M": sst1m_file(folder, n_images), "LST size": lst_size_file(folder, n_images)}
    return [
        Case(f"{name}, {described}", path, channels, caches / f"{path.stem}_{described}")
        for name, path in files.items()
        for described, channels in (("cleaned", CLEANED), ("uncleaned", UNCLEANED))
    ]


def measure_start(case: Case, n_times: int) -> Start:
    """Times before the first epoch; the cache of the case is there afterwards."""
    builds = [in_new_process(seconds_to_build, case) for _ in range(n_times)]
    opened: dict[str, list[float]] = {kind: [] for kind in KINDS}
    first_batch: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(n_times):
        for kind in KINDS:
            seconds = in_new_process(seconds_to_open, case, kind)
            opened[kind].append(seconds[0])
            first_batch[kind].append(seconds[1])
    medians = [{kind: median(found[kind]) for kind in KINDS} for found in (opened, first_batch)]
    return Start(*medians, median(builds))


def in_new_process[T](action: Callable[..., T], *arguments: object) -> T:
    """What the action returns in a process forked from this one."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(action, arguments)


def seconds_to_build(case: Case) -> float:
    """Seconds that the cache costs at first use, in an empty folder."""
    shutil.rmtree(case.cache, ignore_errors=True)
    reader = case.open("no cache")
    return seconds_of(lambda: reader.use_cache(PixelCache(case.cache)))


def seconds_to_open(case: Case, kind: str) -> tuple[float, float]:
    """Seconds until the reader is open, and until its first batch is there."""
    started = time.perf_counter()
    reader = case.open(kind)
    opened = time.perf_counter() - started
    make_loader(kind, reader, np.arange(BATCH_SIZE), ["energy"])[0]
    return opened, time.perf_counter() - started


def measure_reading(case: Case, start: Start, n_turns: int) -> Measured:
    """Compare batches, then measure rates; ends with an error where batches differ."""
    readers = {kind: case.open(kind) for kind in TURN}
    check_identity(case.name, readers)
    rates = measure_rates(readers, n_turns)
    n_events = readers["cache"].get_n_events()
    for kind in OURS:
        readers[kind].close_files()
    return Measured(case.name, n_events, start, rates)


def check_identity(name: str, readers: dict[str, DLImageReader], n_batches: int = 10) -> None:
    """Compare the same random batches bit by bit, features and labels; say what was found."""
    n_events = readers["stock"]._get_n_events()
    rows = np.random.default_rng(0).permutation(n_events)[: n_batches * BATCH_SIZE]
    expected = make_loader("stock", readers["stock"], rows, LABELS)
    for kind in OURS:
        loader = make_loader(kind, readers[kind], rows, LABELS)
        for index in range(len(expected)):
            if not same_batch(expected[index], loader[index]):
                sys.exit(f"{name}, {kind}: batch {index} differs from stock's")
    shape = " x ".join(str(size) for size in expected[0][0].shape[1:])
    print(
        f"{name}: {len(expected)} random batches bit-identical to stock's, with and without "
        f"cache: features {shape}, labels {', '.join(LABELS)}",
        flush=True,
    )


def same_batch(expected: tuple, got: tuple) -> bool:
    """Whether features and labels have the same type and the same bits.

    A label of one number has the shape (n,) in CTLearn and (n, 1) here.
    """
    if set(expected[1]) != set(got[1]):
        return False
    labels = ((np.ravel(expected[1][name]), np.ravel(got[1][name])) for name in LABELS)
    return all(
        np.asarray(a).dtype == np.asarray(b).dtype and np.array_equal(a, b)
        for a, b in [(expected[0], got[0]), *labels]
    )


def measure_rates(readers: dict[str, DLImageReader], n_turns: int) -> dict[str, list[float]]:
    """Events/s of batches with energy labels, turn by turn."""
    generator = np.random.default_rng(1)
    buffer = np.empty((BATCH_SIZE, *readers["stock"].input_shape), dtype=np.float32)

    def read(kind: str) -> float:
        n_events = readers["stock"]._get_n_events()
        rows = generator.permutation(n_events)[: TURN[kind] * BATCH_SIZE]
        return events_per_second(make_loader(kind, readers[kind], rows, ["energy"]), buffer)

    turns = {kind: (lambda kind=kind: read(kind)) for kind in TURN}
    # The first turn compiles, and fills the memory of tables.
    found = take_turns(turns, 1 + n_turns)
    return {kind: rates[1:] for kind, rates in found.items()}


def make_loader(
    kind: str, reader: DLImageReader, rows: np.ndarray, tasks: list[str]
) -> DLDataLoader:
    """Batches of the rows in the given order."""
    loader_class = DLDataLoader if kind == "stock" else SampledLoader
    return loader_class(reader, list(rows), tasks, BATCH_SIZE)


def events_per_second(loader: DLDataLoader, buffer: np.ndarray) -> float:
    """Events/s over all batches of the loader, each copied into the buffer."""
    started = time.perf_counter()
    n_events = 0
    for index in range(len(loader)):
        features, _ = loader[index]
        buffer[: len(features)] = features
        n_events += len(features)
    return n_events / (time.perf_counter() - started)


def print_tables(measured: list[Measured]) -> None:
    """Rates, then times of opening and building."""
    print("\nevents/s of training batches (over stock)")
    print(RATES.format("", "events", *TURN))
    for case in measured:
        rates = [f"{median(case.rates[kind]):.0f} ({case.ratio(kind):.1f})" for kind in OURS]
        stock = f"{median(case.rates['stock']):.0f}"
        print(RATES.format(case.name, case.n_events, stock, *rates))
    print("\nseconds until the reader is open / until the first batch; to build the cache")
    print(STARTS.format("", *KINDS, "ratio", "build", "stock epoch", "ratio"))
    for case in measured:
        start = case.start
        opened = [f"{start.opened[k]:.2f} / {start.first_batch[k]:.2f}" for k in KINDS]
        build = (f"{start.build:.2f}", f"{case.stock_epoch:.1f}", f"{case.ratios['build']:.3f}")
        print(STARTS.format(case.name, *opened, f"{case.ratios['open']:.2f}", *build))


if __name__ == "__main__":
    main()
