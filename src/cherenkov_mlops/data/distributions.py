"""Distributions of the events in DL1 files, before and after the cuts, class by class."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.file_look import (
    INTENSITY_EDGES_PE,
    Candidate,
    FileLook,
    look_at_files,
)
from cherenkov_mlops.data.image_checks import Checks
from cherenkov_mlops.data.inputs import Inputs

#: Ten bins a decade, from 1 GeV to 10 PeV.
_ENERGY_EDGES_TEV = np.logspace(-3, 4, 71)
_N_BINS = 30
#: Narrower than this, a histogram of angles shows rounding [deg].
_MIN_OFFSET_DEG = 1.0


@dataclass
class Distributions:
    """What was gathered of one class.

    Parameters
    ----------
    looks : list of FileLook
        What was found in each of its files.
    """

    looks: list[FileLook] = field(default_factory=list)

    def showers(self, name: str) -> np.ndarray:
        """``energy``, ``core``, ``offset`` or ``kept`` of all showers."""
        return np.concatenate([getattr(look, name) for look in self.looks])

    @property
    def intensity(self) -> np.ndarray:
        """Images in bins of intensity, shape (2, bins): all, and those that pass the cuts."""
        return np.sum([look.intensity for look in self.looks], axis=0)

    def images(self, kind: str) -> dict[int, int]:
        """Telescope -> ``images`` or ``kept_images``."""
        counts: dict[int, int] = {}
        for look in self.looks:
            for number, n in getattr(look, kind).items():
                counts[number] = counts.get(number, 0) + n
        return counts

    @property
    def candidates(self) -> list[Candidate]:
        """Images from which examples can be chosen."""
        return [each for look in self.looks for each in look.candidates]


def gather_distributions(config: RunConfig, inputs: Inputs) -> dict[str, Distributions]:
    """Gather what is seen of each class, by label; files are read if they were not looked at."""
    paths = [path for label in inputs.files for path in inputs.paths(label)]
    unseen = [path for path in paths if path not in inputs.looks]
    looks = inputs.looks | look_at_files(unseen, Checks.of(config), inputs.telescopes)
    return {
        label: Distributions([looks[path] for path in inputs.paths(label)])
        for label in inputs.files
    }


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
        name: {label: part.showers(name) for label, part in seen.items()}
        for name in ("energy", "core", "offset")
    }
    kept = {label: part.showers("kept") for label, part in seen.items()}
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
    figures["intensity"] = {"edges": INTENSITY_EDGES_PE, **counts}
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
    numbers = sorted({number for part in seen.values() for number in part.images("images")})

    def counts(kind: str) -> dict[str, list[int]]:
        return {
            names[label]: [of_telescope.get(number, 0) for number in numbers]
            for label, part in seen.items()
            for of_telescope in [part.images(kind)]
        }

    return {"telescope": numbers, "all": counts("images"), "kept": counts("kept_images")}
