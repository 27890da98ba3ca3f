"""The input files of a run, found and checked."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.dl1_file import (
    DL1File,
    check_pixels,
    inspect_dl1,
    read_shower_keys,
)
from cherenkov_mlops.data.files import files_of
from cherenkov_mlops.data.telescopes import describe_camera, usable_telescopes
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.run_dir import RunDir

log = logging.getLogger(__name__)


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
    """

    files: dict[str, list[DL1File]]
    telescopes: list[int]
    camera: str

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

    def as_dict(self) -> dict:
        """Plain types, for JSON."""
        files = {label: [file.as_dict() for file in files] for label, files in self.files.items()}
        return {"files": files, "telescopes": self.telescopes, "camera": self.camera}

    @classmethod
    def from_dict(cls, content: dict) -> "Inputs":
        """The inverse of ``as_dict``."""
        files = {
            label: [_file_from_dict(file) for file in files]
            for label, files in content["files"].items()
        }
        return cls(files, content["telescopes"], content["camera"])


def _file_from_dict(content: dict) -> DL1File:
    images = {int(number): count for number, count in content["images"].items()}
    energy_range = tuple(content["energy_range_tev"])
    return DL1File(**content | {"images": images, "energy_range_tev": energy_range})


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
    files = {
        label: [inspect_dl1(path) for path in paths]
        for label, paths in files_of(config, part).items()
    }
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
    for file in everything:
        check_pixels(Path(file.path), chosen)
    return Inputs(files, chosen, camera)


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


def warn_of_overlap(training: Inputs, testing: Inputs) -> list[str]:
    """Test files with events that were also trained on; each is said in the log.

    Training files that are gone since are compared by their digests only.
    """
    digests = {file.sha256 for file in training.all_files()}
    trained_on = [
        read_shower_keys(Path(file.path))
        for file in training.all_files()
        if Path(file.path).is_file()
    ]
    overlap = []
    for file in testing.all_files():
        keys = read_shower_keys(Path(file.path))
        n_shared = sum(int(np.isin(keys, part).sum()) for part in trained_on)
        if n_shared or file.sha256 in digests:
            overlap.append(file.path)
            log.warning(
                "%s: the model was trained on %d of its %d events; its metrics are too good",
                file.path,
                n_shared or len(keys),
                len(keys),
            )
    return overlap
