"""Every file name inside a run folder, in one place."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cherenkov_mlops.forms import FORMS, parts_of

TEMPORARY = re.compile(r"^\..+\.\d+\.tmp(\.\w+)?$")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Temporary path beside ``path``; what is written there takes its place when all went well.

    The temporary name ends as ``path`` does, for writers that look at the ending. A reader of
    ``path`` finds the old content or the new one, never a part, whatever kills the writer.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        _synchronise(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _synchronise(path: Path) -> None:
    """Have the file on the disk before its name is there."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def remove_temporary_files(folder: Path) -> None:
    """Remove what killed writers of ``atomic_path`` left in the folder itself."""
    for path in folder.glob(".*.tmp*"):
        if TEMPORARY.match(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str) -> Path:
    """``path``, holding ``text``: written to a temporary name, synchronised and renamed."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def write_json_atomically(path: Path, content: Any) -> Path:
    """``path``, holding ``content`` as indented JSON without NaN (``ValueError`` if any)."""
    return write_text_atomically(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


@dataclass(frozen=True)
class RunDir:
    """Paths of one run, all below ``path``.

    Parameters
    ----------
    path : pathlib.Path
        ``<run.dir>/<run.name>``.
    """

    path: Path

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.path.name

    @property
    def config(self) -> Path:
        """Configuration as given."""
        return self.path / "config.yaml"

    @property
    def resolved_config(self) -> Path:
        """Configuration with ``extends``, overrides and defaults filled in."""
        return self.path / "config.resolved.yaml"

    @property
    def record(self) -> Path:
        """State and attempts of each stage, versions, host, digests."""
        return self.path / "run.json"

    @property
    def prepare_dir(self) -> Path:
        """All that preparing writes."""
        return self.path / "prepare"

    @property
    def manifest(self) -> Path:
        """Files, digests, counts after each cut, and the split."""
        return self.prepare_dir / "manifest.json"

    @property
    def split(self) -> Path:
        """Row numbers of the training and the validation set."""
        return self.prepare_dir / "split.npz"

    @property
    def data_description(self) -> Path:
        """Distributions of the training files."""
        return self.prepare_dir / "data.json"

    @property
    def data_page(self) -> Path:
        """The page about the training files, made from `data_description`."""
        return self.prepare_dir / "data.html"

    @property
    def untrained_model(self) -> Path:
        """Model as built by ``prepare``."""
        return self.prepare_dir / "model.keras"

    @property
    def custom_model(self) -> Path:
        """Copy of the Python file of a custom model."""
        return self.prepare_dir / "custom_model.py"

    @property
    def model_summary(self) -> Path:
        """Keras' summary of the model."""
        return self.prepare_dir / "model_summary.txt"

    @property
    def train_dir(self) -> Path:
        """All that training writes."""
        return self.path / "train"

    @property
    def trained_model(self) -> Path:
        """Best model by the checkpoint rule."""
        return self.train_dir / "ctlearn_model.keras"

    @property
    def aware_model(self) -> Path:
        """The same weights in the graph that rounds to 8 bits, with the ranges that it learnt."""
        return self.train_dir / "ctlearn_model.aware.keras"

    def exported_model(self, form: str) -> Path:
        """The model in the form that ``compress`` gave it."""
        return self.train_dir / f"ctlearn_model{FORMS[form].suffix}"

    @property
    def exports(self) -> list[Path]:
        """Every file that `compress` may have put the model in."""
        found = {part for form in FORMS for part in parts_of(self.exported_model(form))}
        return sorted(found)

    @property
    def engines(self) -> Path:
        """The trained model in the forms of other engines, made by ``predict --engine``."""
        return self.path / "engines"

    @property
    def costs(self) -> Path:
        """Speed and memory of the model, measured by ``compress --measure``."""
        return self.path / "cost.json"

    @property
    def history(self) -> Path:
        """One row an epoch: loss, validation loss, learning rate, metrics."""
        return self.train_dir / "history.csv"

    @property
    def backup(self) -> Path:
        """State after the last complete epoch; there while a training is not complete."""
        return self.train_dir / "backup" / "state.npz"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard logs."""
        return self.train_dir / "tensorboard"

    @property
    def training_record(self) -> Path:
        """Epochs, batch size, events and time of the training."""
        return self.train_dir / "training.json"

    @property
    def new_predict_dir(self) -> Path:
        """Where predictions are written."""
        return self.path / "predict"

    @property
    def old_predict_dir(self) -> Path:
        """Where an earlier version of this program wrote them."""
        return self.path / "test"

    @property
    def predict_dir(self) -> Path:
        """DL2 files, and what is known about them."""
        new, old = self.new_predict_dir, self.old_predict_dir
        return old if old.is_dir() and not new.exists() else new

    @property
    def prediction_record(self) -> Path:
        """What evaluating has to know of the predictions, beside their DL2 files."""
        return self.new_predict_dir / "prediction.json"

    @property
    def metrics(self) -> Path:
        """Every metric and the arrays of every figure."""
        return self.path / "metrics.json"

    @property
    def report(self) -> Path:
        """The page."""
        return self.path / "report.html"

    @property
    def model_card(self) -> Path:
        """Model card in Markdown."""
        return self.path / "MODEL_CARD.md"

    @property
    def cache(self) -> Path:
        """Copies of the pixels, unless `data.cache_dir` names another folder."""
        return self.path / "cache"

    @property
    def lock(self) -> Path:
        """Held by the process that works on the run."""
        return self.logs / ".lock"

    @property
    def logs(self) -> Path:
        """Log files, one a stage."""
        return self.path / "logs"

    @property
    def jobs(self) -> Path:
        """Jobs of a cluster that were submitted for the run."""
        return self.logs / "jobs.json"

    @property
    def reader_config(self) -> Path:
        """Options of CTLearn's reader in the training, defaults included."""
        return self.train_dir / "ctlearn_config.json"

    def dl2(self, input_file: Path | str, label: str, number: int = 0) -> Path:
        """DL2 file made from ``input_file`` of the class ``label`` (``signal``, ``background``).

        ``number`` counts the files of the class that have the same name in other folders.
        """
        stem = Path(input_file).name
        for ending in (".h5", ".hdf5", ".dl1"):
            stem = stem.removesuffix(ending)
        again = f"_{number + 1}" if number else ""
        return self.predict_dir / f"{label}_{stem}{again}.dl2.h5"
