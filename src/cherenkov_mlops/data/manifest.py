"""``prepare/manifest.json``: what a run trains on."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cherenkov_mlops.data.findings import DataClass, Finding
from cherenkov_mlops.data.inputs import Inputs
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.results import plain_values
from cherenkov_mlops.run_dir import RunDir, atomic_path, write_json_atomically

#: Version 1 knew neither classes nor findings, and less about each file.
SCHEMA_VERSION = 2
READABLE_VERSIONS = (1, 2)


@dataclass(frozen=True)
class Counts:
    """How many samples are where.

    Parameters
    ----------
    cuts : list of dict
        ``cut`` (name), and samples left after it by label.
    sets : dict
        ``training`` and ``validation`` -> label -> samples.
    energy_edges_tev : list of float
        Edges of the energy bins [TeV].
    energy : dict
        Label -> samples in each energy bin.
    telescopes : dict
        Telescope -> images after the cuts.
    """

    cuts: list[dict[str, Any]]
    sets: dict[str, dict[str, int]]
    energy_edges_tev: list[float]
    energy: dict[str, list[int]]
    telescopes: dict[str, int]


@dataclass(frozen=True)
class Manifest:
    """Files, counts and split of a run.

    Parameters
    ----------
    inputs : Inputs
        Training files and telescopes.
    counts : Counts
        Samples after each cut, a set, a bin.
    input_shape : tuple of int
        Height, width, channels of what the network sees.
    examples_sha256 : str
        Digest of the reader's examples, to which the rows refer.
    training_rows, validation_rows : array of int
        Rows of the reader in each set.
    classes : list of DataClass
        What was simulated, class by class; only written.
    findings : list of Finding
        What is odd about the files.
    """

    inputs: Inputs
    counts: Counts
    input_shape: tuple[int, ...]
    examples_sha256: str
    training_rows: np.ndarray
    validation_rows: np.ndarray
    classes: list[DataClass] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def write_manifest(manifest: Manifest, run_dir: RunDir) -> Path:
    """Write the manifest, and the rows of the split to a file beside it; its path is returned."""
    rows = {"training": manifest.training_rows, "validation": manifest.validation_rows}
    with atomic_path(run_dir.split) as temporary:
        np.savez_compressed(temporary, **rows)
    content = {
        "schema_version": SCHEMA_VERSION,
        **manifest.inputs.as_dict(),
        "classes": plain_values([each.as_dict() for each in manifest.classes]),
        "findings": [finding.as_dict() for finding in manifest.findings],
        "counts": asdict(manifest.counts),
        "input_shape": list(manifest.input_shape),
        "examples_sha256": manifest.examples_sha256,
    }
    return write_json_atomically(run_dir.manifest, content)


def read_manifest(run_dir: RunDir) -> Manifest:
    """Read the manifest; ``DataError`` if it is missing, damaged or of a later version."""
    try:
        content = json.loads(run_dir.manifest.read_text(encoding="utf-8"))
        version = content["schema_version"]
        if version not in READABLE_VERSIONS:
            raise DataError(
                f"{run_dir.manifest}: expected schema_version {READABLE_VERSIONS[0]} to "
                f"{READABLE_VERSIONS[-1]}, got {version}; it was written by another version of "
                "cherenkov-mlops: use that one, or make it again: prepare --force"
            )
        rows = np.load(run_dir.split)
        return Manifest(
            inputs=Inputs.from_dict(content),
            counts=Counts(**content["counts"]),
            input_shape=tuple(content["input_shape"]),
            examples_sha256=content["examples_sha256"],
            training_rows=rows["training"],
            validation_rows=rows["validation"],
            findings=[Finding(**finding) for finding in content.get("findings", [])],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{run_dir.manifest}: cannot be read ({error}); make it again: prepare --force"
        ) from error


def check_unchanged(inputs: Inputs) -> None:
    """Raise DataError unless all files are there as ``prepare`` saw them."""
    for file in inputs.all_files():
        path = Path(file.path)
        if not path.is_file():
            raise DataError(f"{path}: this training file was there at prepare and is gone now")
        if path.stat().st_size != file.size:
            raise DataError(
                f"{path}: expected {file.size} bytes as at prepare, got {path.stat().st_size}; "
                "prepare again: prepare --force"
            )
