"""One simulation file to DL1 by ctapipe's ProcessorTool; imported by the worker processes only."""

import os
import struct
import time
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tables
import zstandard
from ctapipe.core import Provenance
from ctapipe.fitting import FIT_RNG
from ctapipe.io import EventSource, SimTelEventSource
from ctapipe.tools.process import ProcessorTool
from traitlets import HasTraits
from traitlets.config import Config

from cherenkov_mlops.conversion.ledger import Fingerprint
from cherenkov_mlops.conversion.options import Conversion
from cherenkov_mlops.data.paths import (
    IMAGES,
    LAYOUT,
    PARAMETERS,
    RUNS,
    SHOWERS,
    TRIGGERS,
    WAVEFORMS,
)
from cherenkov_mlops.data.production import count_particles
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.registry import did_you_mean
from cherenkov_mlops.run_dir import atomic_path

THROWN = "/simulation/service/shower_distribution"
#: Tables with one row an image, the first that a file has is counted.
IMAGE_TABLES = (IMAGES, PARAMETERS, WAVEFORMS)
#: What readers of damaged or cut files raise, besides OSError and EOFError.
READ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    IndexError,
    struct.error,
    zlib.error,
    zstandard.ZstdError,
)
EXPECTED_PARTICLES = {"gamma", "proton", "electron"}
OWN_OPTIONS = {"input_url", "output_path", "provenance_log", "log_file", "overwrite"}


class _ReadableEvents:
    """An event source that ends where its file can be read no further."""

    def __init__(self, source: EventSource):
        self._source = source
        self.broken_by = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self._source
        except READ_ERRORS as error:
            self.broken_by = " ".join(str(error).split()) or type(error).__name__


class Processor(ProcessorTool):
    """ctapipe's tool; it leaves logging alone and keeps the events before a damage of the file."""

    def setup(self) -> None:
        """Open input and output."""
        try:
            super().setup()
        except READ_ERRORS as error:
            # The headers are read here: telescopes, cameras, run.
            reason = " ".join(str(error).split())
            raise DataError(
                f"{reason}; if it is truncated before its first event, copy it again"
            ) from error
        self.event_source = _ReadableEvents(self.event_source)

    def update_logging_config(self) -> None:
        """Collect mistakes of the configuration; the rest is up to the process."""
        self.log.addHandler(self.trait_warning_handler)


def convert_file(conversion: Conversion) -> dict[str, Any]:
    """Convert one file; return fingerprints of input and output, and facts.

    Raises
    ------
    DataError
        The input is no simtel file, or no event of it can be read.
    """
    started = time.monotonic()
    source = conversion.source
    if source.stat().st_size == 0:
        raise DataError("the file is empty")
    try:
        is_simtel = SimTelEventSource.is_compatible(source)
    except READ_ERRORS as error:
        raise DataError(f"cannot be read ({error}); copy it again") from error
    if not is_simtel:
        raise DataError("not a simtel file, whatever its name says")
    # The output is what ctapipe-process makes of this file alone. ctapipe draws the points of its
    # fits of arrival times from a generator that lives as long as the process: the parameters
    # would depend on the files before.
    Provenance().clear()
    FIT_RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state
    with atomic_path(conversion.output) as temporary:
        own = {
            "EventSource": {"input_url": str(source)},
            "DataWriter": {"output_path": str(temporary), "overwrite": True},
            # The record keeps what matters; ctapipe's log has all installed packages each time.
            "ProcessorTool": {"provenance_log": os.devnull},
        }
        config = Config(conversion.config)
        config.merge(Config(own))
        tool = Processor(config=config)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run_tool(tool)
        messages = list(dict.fromkeys(str(warning.message) for warning in caught))
        facts = read_facts(temporary)
        is_cut = tool.event_source.broken_by or any("truncated" in text for text in messages)
        # Such a file says nothing about how many showers would trigger.
        if is_cut and not facts["events"]:
            raise DataError("truncated before its first event; copy it again")
        facts["notes"] = make_notes(facts, bool(is_cut))
        facts["warnings"] = messages
        # The last activity, without the machine, packages and options that all files share.
        activity = Provenance().provenance[-1]
        facts["provenance"] = {
            "activity": activity["activity_uuid"],
            "started": activity["start"]["time_utc"],
            "ended": activity["stop"]["time_utc"],
            "host": activity["system"]["platform"]["node"],
        }
    facts["seconds"] = round(time.monotonic() - started, 2)
    return {
        "input": asdict(Fingerprint.of(source)),
        "output": asdict(Fingerprint.of(conversion.output)),
        "facts": facts,
    }


def run_tool(tool: Processor) -> None:
    """Run ctapipe's tool; what its reader says about a bad file becomes a ``DataError``."""
    try:
        tool.run(argv=[], raises=True)
    except SystemExit as end:
        if end.code:
            raise DataError("ctapipe-process ended early; the log says why") from end
    except RuntimeError as error:
        if "focal_length_choice" not in str(error):
            raise
        raise DataError(
            "has no effective focal lengths; write --focal-length EQUIVALENT"
        ) from error


def read_facts(path: Path) -> dict[str, Any]:
    """Read events, images a telescope type, particles, runs of an output."""
    with tables.open_file(path) as file:
        particles: dict[str, int] = {}
        if SHOWERS in file:
            showers = file.get_node(SHOWERS)
            particles = count_particles(
                showers.col("true_shower_primary_id"), showers.col("true_energy")
            )
        layout = file.get_node(LAYOUT).read(field=None)
        names = zip(layout["tel_id"].tolist(), layout["tel_description"].tolist(), strict=True)
        kinds = dict(names)
        group = next((group for group in IMAGE_TABLES if group in file), None)
        images: dict[str, int] = {}
        for table in file.iter_nodes(group, "Table") if group else ():
            kind = kinds[int(table.name.removeprefix("tel_"))].decode()
            images[kind] = images.get(kind, 0) + int(table.nrows)
        runs = file.get_node(RUNS).col("obs_id") if RUNS in file else []
        return {
            "events": int(file.get_node(TRIGGERS).nrows) if TRIGGERS in file else 0,
            "images": dict(sorted(images.items())),
            "particles": particles,
            "obs_ids": sorted({int(number) for number in runs}),
            "thrown_histogram": THROWN in file,
        }


def make_notes(facts: dict[str, Any], is_cut: bool) -> list[str]:
    """What a user must know about the output."""
    notes = []
    if is_cut:
        notes.append(
            f"truncated: {facts['events']} events read; effective areas come out too small"
        )
    elif not facts["thrown_histogram"]:
        notes.append("no histogram of the thrown showers at its end: is the file complete?")
    if not facts["events"]:
        notes.append("no event triggered")
    unusual = sorted(set(facts["particles"]) - EXPECTED_PARTICLES)
    if unusual:
        notes.append(f"holds {', '.join(unusual)} showers")
    return notes


def check_option_names(config: dict[str, Any]) -> list[str]:
    """List, one line each, the sections and options that ctapipe-process does not have."""
    known = {kind.__name__: kind for kind in ProcessorTool(config=Config())._classes_inc_parents()}
    return list(_unknown_names(config, known, ""))


def _unknown_names(
    section: dict[str, Any], known: dict[str, type[HasTraits]], path: str
) -> Iterator[str]:
    """Lines about one section at ``path`` and those in it; ctapipe nests components freely."""
    traits = known[path.split(".")[-1]].class_trait_names(config=True) if path else []
    for name, value in section.items():
        where = f"{path}.{name}".lstrip(".")
        if name in known and isinstance(value, dict):
            yield from _unknown_names(value, known, where)
        elif name in OWN_OPTIONS:
            yield f"{where}: is set by `convert`; take it out"
        elif not path:
            yield f"{where}: ctapipe-process has no such component; {did_you_mean(name, known)}"
        elif name not in traits:
            yield f"{where}: no such option; {did_you_mean(name, traits)}"
