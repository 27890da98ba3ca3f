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
from cherenkov_mlops.conversion.task import Task
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


def convert_file(task: Task) -> dict[str, Any]:
    """Record of one converted file: fingerprints of input and output, and facts.

    Raises
    ------
    DataError
        The input is no simtel file, or no event of it can be read.
    """
    started = time.monotonic()
    _check_simtel(task.source)
    _forget_earlier_files()
    with atomic_path(task.output) as temporary:
        tool = Processor(config=_make_config(task, temporary))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            _run(tool, task.source)
        messages = list(dict.fromkeys(str(warning.message) for warning in caught))
        facts = _read_facts(temporary)
        facts["notes"] = _make_notes(tool, facts, messages)
        _refuse_nothing(task.source, facts)
        facts["warnings"] = messages
        facts["provenance"] = _compact_provenance()
    facts["seconds"] = round(time.monotonic() - started, 2)
    return {
        "input": asdict(Fingerprint.of(task.source)),
        "output": asdict(Fingerprint.of(task.output)),
        "facts": facts,
    }


def _forget_earlier_files() -> None:
    """Make the output what ctapipe-process makes of this file alone.

    ctapipe draws the points of its fits of arrival times from a generator that lives as long as
    the process: the parameters would depend on the files before.
    """
    Provenance().clear()
    FIT_RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def check_option_names(config: dict[str, Any]) -> list[str]:
    """One line for each section or option that ctapipe-process does not have."""
    known = {kind.__name__: kind for kind in ProcessorTool(config=Config())._classes_inc_parents()}
    return list(_unknown_names(config, known, ""))


def _unknown_names(
    section: dict[str, Any], known: dict[str, type[HasTraits]], path: str
) -> Iterator[str]:
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


def _check_simtel(path: Path) -> None:
    """Refuse what cannot be a simtel file, in words of our own."""
    if path.stat().st_size == 0:
        raise DataError("the file is empty")
    try:
        is_simtel = SimTelEventSource.is_compatible(path)
    except READ_ERRORS as error:
        raise DataError(f"cannot be read ({error}); copy it again") from error
    if not is_simtel:
        raise DataError("not a simtel file, whatever its name says")


def _make_config(task: Task, output: Path) -> Config:
    own = {
        "EventSource": {"input_url": str(task.source)},
        "DataWriter": {"output_path": str(output), "overwrite": True},
        # The record keeps what matters; ctapipe's log has all installed packages for each file.
        "ProcessorTool": {"provenance_log": os.devnull},
    }
    config = Config(task.config)
    config.merge(Config(own))
    return config


def _run(tool: Processor, source: Path) -> None:
    """Run the tool; what its reader says about a bad file becomes a reason."""
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


def _read_facts(path: Path) -> dict[str, Any]:
    """Events, images a telescope type, particles, runs."""
    with tables.open_file(path) as file:
        showers = file.get_node(SHOWERS) if SHOWERS in file else None
        particles = (
            count_particles(showers.col("true_shower_primary_id"), showers.col("true_energy"))
            if showers is not None
            else {}
        )
        runs = file.get_node(RUNS).col("obs_id") if RUNS in file else []
        return {
            "events": int(file.get_node(TRIGGERS).nrows) if TRIGGERS in file else 0,
            "images": _count_images(file),
            "particles": particles,
            "obs_ids": sorted({int(number) for number in runs}),
            "thrown_histogram": THROWN in file,
        }


def _count_images(file: tables.File) -> dict[str, int]:
    """Telescope type -> images."""
    layout = file.get_node(LAYOUT).read(field=None)
    kinds = dict(zip(layout["tel_id"].tolist(), layout["tel_description"].tolist(), strict=True))
    group = next((group for group in IMAGE_TABLES if group in file), None)
    counts: dict[str, int] = {}
    for table in file.iter_nodes(group, "Table") if group else ():
        kind = kinds[int(table.name.removeprefix("tel_"))].decode()
        counts[kind] = counts.get(kind, 0) + int(table.nrows)
    return dict(sorted(counts.items()))


def _make_notes(tool: Processor, facts: dict[str, Any], messages: list[str]) -> list[str]:
    """What a user must know about the output."""
    notes = []
    damage = tool.event_source.broken_by or any("truncated" in text for text in messages)
    if damage:
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


def _refuse_nothing(source: Path, facts: dict[str, Any]) -> None:
    """A file that was cut before its first event says nothing about how many would trigger."""
    if not facts["events"] and any(note.startswith("truncated") for note in facts["notes"]):
        raise DataError("truncated before its first event; copy it again")


def _compact_provenance() -> dict[str, str]:
    """The last activity, without the machine, packages and configuration that all files share."""
    activity = Provenance().provenance[-1]
    return {
        "activity": activity["activity_uuid"],
        "started": activity["start"]["time_utc"],
        "ended": activity["stop"]["time_utc"],
        "host": activity["system"]["platform"]["node"],
    }
