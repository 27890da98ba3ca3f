"""The input files of a run, found and checked."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.dl1_file import DL1File, inspect_dl1, read_shower_keys
from cherenkov_mlops.data.files import files_of
from cherenkov_mlops.data.image_checks import check_images
from cherenkov_mlops.data.progress import with_progress
from cherenkov_mlops.data.telescopes import describe_camera, idle_telescopes, usable_telescopes
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.run_dir import RunDir


@dataclass(frozen=True)
class Inputs:
    """Checked files of one part (training or test).

    Parameters
    ----------
    files : dict of str to list of DL1File
        Files by label, ``signal`` first.
    telescopes : list of int
        Telescopes to use.
    camera : str
        Telescope type and number of pixels.
    idle : list of int
        Telescopes of that type that are allowed but have tables in no file.
    """

    files: dict[str, list[DL1File]]
    telescopes: list[int]
    camera: str
    idle: list[int] = field(default_factory=list)

    def paths(self, label: str) -> list[Path]:
        """Files of the label; empty if the task does not use it."""
        return [Path(file.path) for file in self.files.get(label, [])]

    def outputs(self, label: str, run_dir: RunDir) -> dict[Path, Path]:
        """Input file of the label -> its DL2 file; no two share one, whatever their names."""
        taken: Counter[Path] = Counter()
        outputs = {}
        for path in self.paths(label):
            first = run_dir.dl2(path, label)
            outputs[path] = run_dir.dl2(path, label, taken[first])
            taken[first] += 1
        return outputs

    def all_files(self) -> list[DL1File]:
        """Files of all labels."""
        return [file for files in self.files.values() for file in files]

    @property
    def energy_range_tev(self) -> tuple[float, float]:
        """Lowest and highest true energy [TeV] of all files; zeros if there is no shower."""
        ranges = [f.energy_range_tev for f in self.all_files() if any(f.energy_range_tev)]
        if not ranges:
            return 0.0, 0.0
        return min(low for low, _ in ranges), max(high for _, high in ranges)

    def as_dict(self) -> dict:
        """Plain types, for JSON."""
        files = {label: [file.as_dict() for file in files] for label, files in self.files.items()}
        return {
            "files": files,
            "telescopes": self.telescopes,
            "camera": self.camera,
            "idle_telescopes": self.idle,
        }

    @classmethod
    def from_dict(cls, content: dict) -> "Inputs":
        """The inverse of ``as_dict``."""
        files = {
            label: [DL1File.from_dict(file) for file in files]
            for label, files in content["files"].items()
        }
        idle = content.get("idle_telescopes", [])
        return cls(files, content["telescopes"], content["camera"], idle)


def inspect_inputs(config: RunConfig, part: str, trained_on: Inputs | None = None) -> Inputs:
    """The files of ``part`` (``train`` or ``test``), each opened and checked.

    Parameters
    ----------
    config : RunConfig
        The run.
    part : {"train", "test"}
        Which files.
    trained_on : Inputs, optional
        What the model was trained on: the camera must be the same, and stacked images come from
        the same telescopes.

    Raises
    ------
    DataError
        A file cannot be used, is given twice, or the arrays differ.
    """
    files = _inspect_files(config, part)
    everything = [file for group in files.values() for file in group]
    _refuse_twins(everything)
    usable = usable_telescopes(config, everything)
    camera = describe_camera(config, everything[0], usable[0])
    if trained_on is not None and camera != trained_on.camera:
        raise DataError(
            f"{everything[0].path}: expected {trained_on.camera}, on which the model was trained, "
            f"got {camera}"
        )
    stacked = trained_on is not None and config.data.mode == "stereo"
    chosen = trained_on.telescopes if stacked else usable
    idle = idle_telescopes(config, everything, usable)
    return Inputs(_check_all_images(config, files, chosen), chosen, camera, idle)


def _inspect_files(config: RunConfig, part: str) -> dict[str, list[DL1File]]:
    given = files_of(config, part)
    paths = [path for group in given.values() for path in group]
    aligned = not config.data.force_dl1_lookup
    found = {
        path: inspect_dl1(path, aligned=aligned) for path in with_progress(paths, "checking files")
    }
    return {label: [found[path] for path in group] for label, group in given.items()}


def _check_all_images(
    config: RunConfig, files: dict[str, list[DL1File]], telescopes: list[int]
) -> dict[str, list[DL1File]]:
    paths = [Path(file.path) for group in files.values() for file in group]
    counts = {
        str(path): check_images(path, telescopes, config)
        for path in with_progress(paths, "checking images")
    }
    return {
        label: [
            replace(file, n_passing=seen.n_passing, n_empty=seen.n_empty)
            for file in group
            for seen in [counts[file.path]]
        ]
        for label, group in files.items()
    }


def _refuse_twins(files: Sequence[DL1File]) -> None:
    """No event may count twice, under whatever name or label of its file."""
    if not files:
        return
    keys = [read_shower_keys(Path(file.path)) for file in files]
    source = np.repeat(np.arange(len(files)), [len(part) for part in keys])
    everything = np.concatenate(keys)
    order = np.argsort(everything, kind="stable")
    again = np.flatnonzero(everything[order][1:] == everything[order][:-1])
    if len(again):
        first, second = files[source[order[again[0]]]], files[source[order[again[0] + 1]]]
        raise DataError(
            f"{second.path}: {len(again)} events of the files are given twice, first in "
            f"{first.path}; give each event once, as signal or as background"
        )
