"""The input files of a run, found and checked."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.dl1_file import DL1File, check_pixels, inspect_dl1
from cherenkov_mlops.data.files import files_of
from cherenkov_mlops.data.telescopes import usable_telescopes
from cherenkov_mlops.errors import DataError

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
    """

    files: dict[str, list[DL1File]]
    telescopes: list[int]

    def paths(self, label: str) -> list[Path]:
        """Files of the label; empty if the task does not use it."""
        return [Path(file.path) for file in self.files.get(label, [])]

    def all_files(self) -> list[DL1File]:
        """Files of all labels."""
        return [file for files in self.files.values() for file in files]

    def as_dict(self) -> dict:
        """Plain types, for JSON."""
        files = {label: [file.as_dict() for file in files] for label, files in self.files.items()}
        return {"files": files, "telescopes": self.telescopes}

    @classmethod
    def from_dict(cls, content: dict) -> "Inputs":
        """The inverse of ``as_dict``."""
        files = {
            label: [_file_from_dict(file) for file in files]
            for label, files in content["files"].items()
        }
        return cls(files, content["telescopes"])


def _file_from_dict(content: dict) -> DL1File:
    images = {int(number): count for number, count in content["images"].items()}
    energy_range = tuple(content["energy_range_tev"])
    return DL1File(**content | {"images": images, "energy_range_tev": energy_range})


def inspect_inputs(config: RunConfig, part: str, telescopes: list[int] | None = None) -> Inputs:
    """The files of ``part`` (``train`` or ``test``), each opened and checked.

    Parameters
    ----------
    config : RunConfig
        The run.
    part : {"train", "test"}
        Which files.
    telescopes : list of int, optional
        Telescopes that the model was trained on; needed where images are stacked.

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
    chosen = telescopes if telescopes and config.data.mode == "stereo" else usable
    for file in everything:
        check_pixels(Path(file.path), chosen)
    return Inputs(files, chosen)


def _refuse_twins(files: Iterable[DL1File]) -> None:
    """No file may count twice, under whatever name or label."""
    seen: dict[str, str] = {}
    for file in files:
        if file.sha256 in seen:
            raise DataError(
                f"{file.path}: has the same content as {seen[file.sha256]}; give each file once, "
                "as signal or as background"
            )
        seen[file.sha256] = file.path


def warn_of_overlap(training: Inputs, testing: Inputs) -> list[str]:
    """Paths of test files that were also trained on; each is said in the log."""
    trained_on = {file.sha256 for file in training.all_files()}
    overlap = [file.path for file in testing.all_files() if file.sha256 in trained_on]
    for path in overlap:
        log.warning("%s: the model was trained on this file; its metrics are too good", path)
    return overlap
