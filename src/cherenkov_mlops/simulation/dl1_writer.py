"""DL1 files through ctapipe's own image processing and writer."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tables
from ctapipe.core import Provenance
from ctapipe.image import ImageProcessor
from ctapipe.io import DataWriter

from cherenkov_mlops.errors import DataError, UserError
from cherenkov_mlops.run_dir import atomic_path
from cherenkov_mlops.simulation.options import SimulationOptions
from cherenkov_mlops.simulation.source import ShowerSource

logger = logging.getLogger(__name__)

ACTIVITY = "cherenkov-mlops simulate"
#: Light compression: noise hardly shrinks, and time goes into images.
COMPRESSION_LEVEL = 1
_LOG_EVERY, _READ_ROWS = 5000, 2000


@dataclass(frozen=True)
class Written:
    """What a file holds.

    Attributes
    ----------
    n_showers, n_events, n_images : int
        Showers thrown, showers that triggered, telescope images.
    """

    n_showers: int
    n_events: int
    n_images: int


@contextmanager
def provenance_activity(name: str) -> Iterator[None]:
    """Open an activity of ctapipe's provenance, finished in any case; no log file is written."""
    provenance = Provenance()
    provenance.start_activity(name)
    status = "error"
    try:
        yield
        status = "completed"
    finally:
        provenance.finish_activity(status=status, activity_name=name)


def write_dl1(path: Path, options: SimulationOptions, *, force: bool = False) -> Written:
    """Write a simulated run as DL1 to ``path``, whole or not at all; return what it holds.

    Raises
    ------
    UserError
        If ``path`` exists and ``force`` is not set.
    DataError
        If no shower triggered, the options name an unreadable array, or the disk is full.
    """
    if path.exists() and not force:
        raise UserError(f"{path}: the file exists; write --force, or choose another name")
    source = ShowerSource(options)
    with atomic_path(path) as temporary:
        try:
            n_events = write_events(temporary, source)
            with tables.open_file(temporary, "a") as file:
                # Known only at the end, but ctapipe writes the run's configuration first.
                table = file.root.configuration.simulation.run
                rows = table.read()
                rows["n_showers"] = source.n_thrown
                table.modify_rows(0, rows=rows)
            _read_through(temporary)
        except (OSError, tables.HDF5ExtError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise DataError(
                f"{path}: could not be written whole ({reason}); is the disk full?"
            ) from error
        if not n_events:
            raise DataError(
                f"simulate: none of {source.n_thrown} showers triggered; "
                "throw more, raise the energies or lower scatter_radius_m"
            )
    return Written(source.n_thrown, n_events, source.n_images)


def write_events(path: Path, source: ShowerSource) -> int:
    """Clean, parametrise and write the events to ``path``; return their number."""
    n_events = 0
    with provenance_activity(ACTIVITY):
        writer = DataWriter(
            source,
            output_path=path,
            write_dl1_images=True,
            write_dl1_parameters=True,
            write_r1_waveforms=source.options.waveforms,
            compression_level=COMPRESSION_LEVEL,
        )
        writer.contact_info.name = "cherenkov_mlops"
        instrument = writer.instrument_info
        instrument.class_, instrument.type_ = "Subarray", "Simulated telescopes"
        instrument.id_ = source.subarray.name
        with writer as write:
            process = ImageProcessor(subarray=source.subarray)
            for n_events, event in enumerate(source, start=1):
                process(event)
                write(event)
                if n_events % _LOG_EVERY == 0:
                    logger.info("%d showers, %d images", source.n_thrown, source.n_images)
            write.write_simulated_shower_distributions(source.simulated_shower_distributions)
    return n_events


def _read_through(path: Path) -> None:
    """Read every table, with its checksums: HDF5 may close a file on a full disk in silence."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    with tables.open_file(path) as file:
        for table in file.walk_nodes("/", "Table"):
            for start in range(0, table.nrows, _READ_ROWS):
                table.read(start, start + _READ_ROWS)
