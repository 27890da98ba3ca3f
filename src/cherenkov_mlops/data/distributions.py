"""Distributions of the events in DL1 files, before and after the cuts, class by class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tables

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.dl1_file import IMAGES, open_hdf5
from cherenkov_mlops.data.inputs import Inputs
from cherenkov_mlops.data.production import POINTING
from cherenkov_mlops.data.progress import with_progress
from cherenkov_mlops.data.sample_images import Candidate
from cherenkov_mlops.data.stored_columns import (
    IMAGE_KEYS,
    SHOWERS,
    ImageColumns,
    find_rows,
    read_column,
    read_keys,
    read_numbers,
)

#: Ten bins a decade, from 1 GeV to 10 PeV, and from 0.1 to ten million photo-electrons.
_ENERGY_EDGES_TEV = np.logspace(-3, 4, 71)
_INTENSITY_EDGES_PE = np.logspace(-1, 7, 81)
_N_BINS = 30
#: Narrower than this, a histogram of angles shows rounding [deg].
_MIN_OFFSET_DEG = 1.0
#: Images of one telescope of one file from which examples are chosen.
_CANDIDATES_A_TABLE = 50


@dataclass
class _Showers:
    """True values of the showers of one class, and whether each is left after the cuts."""

    energy: list[np.ndarray] = field(default_factory=list)
    core: list[np.ndarray] = field(default_factory=list)
    offset: list[np.ndarray] = field(default_factory=list)
    kept: list[np.ndarray] = field(default_factory=list)

    def add(self, energy: np.ndarray, core: np.ndarray, offset: np.ndarray, kept: Any) -> None:
        """Add the showers of a file."""
        for column, values in zip(
            (self.energy, self.core, self.offset), (energy, core, offset), strict=True
        ):
            column.append(values.astype(np.float32))
        self.kept.append(kept)


@dataclass
class Distributions:
    """What was gathered of one class.

    Parameters
    ----------
    showers : _Showers
        True values.
    intensity : array of int, shape (2, bins)
        Images in bins of intensity: all, and those that pass the cuts.
    images, kept_images : dict of int to int
        Telescope -> images: all, and those that pass the cuts.
    candidates : list of Candidate
        Images from which examples can be chosen.
    """

    showers: _Showers = field(default_factory=_Showers)
    intensity: np.ndarray = field(
        default_factory=lambda: np.zeros((2, len(_INTENSITY_EDGES_PE) - 1), dtype=int)
    )
    images: dict[int, int] = field(default_factory=dict)
    kept_images: dict[int, int] = field(default_factory=dict)
    candidates: list[Candidate] = field(default_factory=list)


def least_telescopes(config: RunConfig) -> int:
    """Images that pass the cuts which an event needs to be used."""
    return config.data.min_telescopes if config.data.mode == "stereo" else 1


def gather_distributions(config: RunConfig, inputs: Inputs) -> dict[str, Distributions]:
    """What is seen of each class, by label; no pixels are read."""
    seen = {label: Distributions() for label in inputs.files}
    labels = [(label, path) for label in inputs.files for path in inputs.paths(label)]
    paths = [path for _, path in labels]
    for (label, _), path in zip(labels, with_progress(paths, "describing files"), strict=True):
        with open_hdf5(path) as file:
            _gather_file(config, inputs.telescopes, path, file, seen[label])
    return seen


def _gather_file(
    config: RunConfig, telescopes: Sequence[int], path: Path, file: tables.File, seen: Distributions
) -> None:
    table = file.get_node(SHOWERS)
    energy = read_numbers(table, "true_energy", "TeV")
    n_kept = np.zeros(len(energy), dtype=np.int32)
    offset = np.full(len(energy), np.nan)
    for number in telescopes:
        if f"{IMAGES}/tel_{number:03d}" not in file:
            continue
        columns = ImageColumns(file, number)
        passing = columns.passing(config.data.quality_criteria)
        rows = columns.rows_of(SHOWERS)
        np.add.at(n_kept, rows[passing & (rows >= 0)], 1)
        _count_images(seen, columns, number, passing)
        seen.candidates += _candidates(config, path, file, columns, number, passing, energy[rows])
        if np.isnan(offset).any():
            offset = np.where(np.isnan(offset), _offset_deg(file, number), offset)
    core = np.hypot(*(read_numbers(table, f"true_core_{axis}", "m") for axis in "xy"))
    seen.showers.add(energy, core, offset, n_kept >= least_telescopes(config))


def _count_images(
    seen: Distributions, columns: ImageColumns, number: int, passing: np.ndarray
) -> None:
    seen.images[number] = seen.images.get(number, 0) + len(passing)
    seen.kept_images[number] = seen.kept_images.get(number, 0) + int(passing.sum())
    if "hillas_intensity" in columns.parameters.colnames:
        intensity = np.asarray(columns["hillas_intensity"])
        for row, mask in enumerate((np.isfinite(intensity), passing)):
            seen.intensity[row] += np.histogram(intensity[mask], _INTENSITY_EDGES_PE)[0]


def _candidates(
    config: RunConfig,
    path: Path,
    file: tables.File,
    columns: ImageColumns,
    number: int,
    passing: np.ndarray,
    energies: np.ndarray,
) -> list[Candidate]:
    """Some images that pass the cuts: the quantiles of the intensity.

    Where none has one, as in windows without a shower, one image with the intensity 0.
    """
    intensity = np.zeros(len(columns))
    if "hillas_intensity" in columns.parameters.colnames:
        intensity = np.nan_to_num(np.asarray(columns["hillas_intensity"], dtype=float))
    usable = np.flatnonzero(passing & (intensity > 0))
    if not len(usable):
        usable = np.flatnonzero(passing)[:1]
    if not len(usable):
        return []
    ordered = usable[np.argsort(intensity[usable], kind="stable")]
    chosen = np.unique(ordered[np.linspace(0, len(ordered) - 1, _CANDIDATES_A_TABLE).astype(int)])
    images = chosen
    if config.data.force_dl1_lookup:
        keys = [
            read_keys(table, IMAGE_KEYS)
            for table in (columns.parameters, file.get_node(f"{IMAGES}/tel_{number:03d}"))
        ]
        images = find_rows(keys[0][chosen], keys[1])
    return [
        Candidate(float(intensity[row]), float(energies[row]), path, number, int(image))
        for row, image in zip(chosen, images, strict=True)
        if image >= 0
    ]


def _offset_deg(file: tables.File, number: int) -> np.ndarray:
    """Angle between each shower and the pointing of the telescope in its run [deg]."""
    showers, pointings = file.get_node(SHOWERS), file.get_node(f"{POINTING}/tel_{number:03d}")
    runs = read_column(pointings, "obs_id")
    last = {int(run): row for row, run in enumerate(runs)}
    rows = np.array([last.get(int(run), -1) for run in showers.col("obs_id")])
    angles = [
        read_numbers(pointings, f"telescope_pointing_{name}", "rad")[rows]
        for name in ("altitude", "azimuth")
    ]
    alt, az = (np.radians(read_numbers(showers, f"true_{name}", "deg")) for name in ("alt", "az"))
    return np.where(rows >= 0, np.degrees(_separation(alt, az, *angles)), np.nan)


def _separation(alt: Any, az: Any, other_alt: Any, other_az: Any) -> np.ndarray:
    """Angle between directions [rad], by the haversine: exact where it is small."""
    square = (
        np.sin((alt - other_alt) / 2) ** 2
        + np.cos(alt) * np.cos(other_alt) * np.sin((az - other_az) / 2) ** 2
    )
    return 2 * np.arcsin(np.sqrt(np.clip(square, 0, 1)))


def distribution_arrays(
    seen: Mapping[str, Distributions], names: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Arrays of each figure of a page about data: counts ``all`` and ``kept`` by name of class.

    Parameters
    ----------
    seen : mapping of str to Distributions
        From `gather_distributions`.
    names : mapping of str to str
        Label -> name of the class.
    """
    columns = {
        name: {label: np.concatenate(getattr(part.showers, name)) for label, part in seen.items()}
        for name in ("energy", "core", "offset")
    }
    kept = {label: np.concatenate(part.showers.kept) for label, part in seen.items()}
    edges = {
        "energy": _ENERGY_EDGES_TEV,
        "core": _linear_edges(columns["core"], 1.0),
        "offset": _linear_edges(columns["offset"], _MIN_OFFSET_DEG),
    }
    figures = {
        name: _histograms(values, kept, edges[name], names) for name, values in columns.items()
    }
    counts = {
        kind: {names[label]: part.intensity[row] for label, part in seen.items()}
        for row, kind in enumerate(("all", "kept"))
    }
    figures["intensity"] = {"edges": _INTENSITY_EDGES_PE, **counts}
    for name in ("energy", "intensity"):
        figures[name] = _cropped(figures[name])
    return {f"data_{name}": arrays for name, arrays in figures.items()} | {
        "data_telescopes": _telescope_arrays(seen, names)
    }


def _linear_edges(values: Mapping[str, np.ndarray], at_least: float) -> np.ndarray:
    known = [part[np.isfinite(part)].max(initial=0) for part in values.values()]
    return np.linspace(0, max(*known, at_least), _N_BINS + 1)


def _histograms(
    values: Mapping[str, np.ndarray],
    kept: Mapping[str, np.ndarray],
    edges: np.ndarray,
    names: Mapping[str, str],
) -> dict[str, Any]:
    # The last bin holds the largest value, whatever single precision made of it.
    inside = {label: np.minimum(part, np.float32(edges[-1])) for label, part in values.items()}
    known = {label: np.isfinite(part) for label, part in values.items()}
    arrays: dict[str, Any] = {"edges": edges, "all": {}, "kept": {}}
    for label, part in inside.items():
        for kind, mask in (("all", known[label]), ("kept", known[label] & kept[label])):
            arrays[kind][names[label]] = np.histogram(part[mask], edges.astype(np.float32))[0]
    return arrays


def _cropped(arrays: dict[str, Any]) -> dict[str, Any]:
    """Without the empty bins at both ends."""
    total = np.sum(list(arrays["all"].values()), axis=0)
    filled = np.flatnonzero(total)
    if not len(filled):
        return {}
    bins = slice(filled[0], filled[-1] + 1)
    edges = [float(f"{edge:.5g}") for edge in arrays["edges"][filled[0] : filled[-1] + 2]]
    counts = {
        kind: {name: part[bins] for name, part in arrays[kind].items()} for kind in ("all", "kept")
    }
    return {"edges": edges, **counts}


def _telescope_arrays(
    seen: Mapping[str, Distributions], names: Mapping[str, str]
) -> dict[str, Any]:
    numbers = sorted({number for part in seen.values() for number in part.images})

    def counts(kind: str) -> dict[str, list[int]]:
        return {
            names[label]: [getattr(part, kind).get(number, 0) for number in numbers]
            for label, part in seen.items()
        }

    return {"telescope": numbers, "all": counts("images"), "kept": counts("kept_images")}
