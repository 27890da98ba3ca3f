"""The input files of a run, found and checked."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.dl1_file import DL1File
from cherenkov_mlops.data.file_look import FileLook, look_at_files, recall_keys
from cherenkov_mlops.data.files import files_of
from cherenkov_mlops.data.image_checks import Checks
from cherenkov_mlops.data.telescopes import (
    describe_camera,
    idle_telescopes,
    known_array,
    usable_telescopes,
)
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
    looks : dict of Path to FileLook
        What was found in the files; empty where they were not looked at, as after reading a
        manifest.
    """

    files: dict[str, list[DL1File]]
    telescopes: list[int]
    camera: str
    idle: list[int] = field(default_factory=list)
    looks: dict[Path, FileLook] = field(default_factory=dict, compare=False, repr=False)

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

    def shower_keys(self) -> np.ndarray:
        """Shower keys of all files that are still there, one after the other."""
        parts = [
            self.looks[path].keys if path in self.looks else recall_keys(path)
            for path in (Path(file.path) for file in self.all_files())
            if path.is_file()
        ]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)

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
    given = files_of(config, part)
    checks = Checks.of(config)
    folder = config.data.cache_dir and config.data.cache_dir / "checked"
    paths = [path for group in given.values() for path in group]
    looks = look_at_files(paths, checks, folder=folder)
    everything = [looks[path].file for path in paths]

    # No event may count twice, under whatever name or label of its file.
    keys = np.concatenate([looks[path].keys for path in paths])
    source = np.repeat(np.arange(len(paths)), [len(looks[path].keys) for path in paths])
    order = np.argsort(keys, kind="stable")
    again = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    if len(again):
        first, second = (paths[source[order[again[0] + step]]] for step in (0, 1))
        raise DataError(
            f"{second}: {len(again)} events of the files are given twice, first in "
            f"{first}; give each event once, as signal or as background"
        )

    arrays = [
        known_array(path, looks[path].instrument, config.data.focal_length_choice) for path in paths
    ]
    usable = usable_telescopes(config, everything, arrays)
    camera = describe_camera(arrays[0], usable[0])
    if trained_on is not None and camera != trained_on.camera:
        raise DataError(
            f"{paths[0]}: expected {trained_on.camera}, on which the model was trained, "
            f"got {camera}"
        )
    stacked = trained_on is not None and config.data.mode == "stereo"
    chosen = trained_on.telescopes if stacked else usable

    # Which telescopes are used, all files decide together: some may have been looked at in vain.
    others = [
        path
        for path in paths
        if set(looks[path].telescopes) != set(chosen) & set(looks[path].file.images)
    ]
    looks |= look_at_files(others, checks, chosen, folder)
    if problem := next((looks[path].problem for path in paths if looks[path].problem), None):
        raise DataError(problem)
    files = {label: [looks[path].file for path in group] for label, group in given.items()}
    idle = idle_telescopes(config, everything, arrays[0], usable)
    return Inputs(files, chosen, camera, idle, looks)
