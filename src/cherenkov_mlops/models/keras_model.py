"""Keras networks, and networks in exported forms, as models."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.forms import FORMS
from cherenkov_mlops.models.base import MODELS, Batch, Frame, ModelType
from cherenkov_mlops.models.builder import (
    build_model,
    load_custom_code,
    load_model_file,
    summarise,
)
from cherenkov_mlops.models.cost import file_sizes, model_facts
from cherenkov_mlops.models.networks import Network, load_network
from cherenkov_mlops.run_dir import RunDir, atomic_path
from cherenkov_mlops.tasks import TASKS

if TYPE_CHECKING:
    from cherenkov_mlops.dl1.training_data import TrainingData

#: What a network is trained by; it stands above this module, so it is named as entry points are.
TRAINER = "cherenkov_mlops.training.train_run:train_model"


class KerasModel:
    """A Keras network: one of CTLearn's, a custom one, or a loaded one.

    Parameters
    ----------
    config : RunConfig
        The run whose model it is.
    network : keras.Model or Path
        The network, or the file to load it from when it is asked for.
    file : Path, optional
        The file that predictions are computed from, in whatever form; the network's own by default.
    """

    frame: Frame = "camera"

    def __init__(self, config: RunConfig, network: keras.Model | Path, file: Path | None = None):
        self.config = config
        self.tasks: Sequence[str] = config.own_tasks
        self.sees: Sequence[str] = [config.data.reader]
        self._network = network
        self.file = file or (network if isinstance(network, Path) else None)
        self._predictor: Network | None = None

    @property
    def network(self) -> keras.Model:
        """The Keras network."""
        if isinstance(self._network, Path):
            self._network = load_model_file(self._network)
        return self._network

    def fit(self, data: "TrainingData", run_dir: RunDir, attempt: Any) -> dict[str, Any]:
        """Train the network epoch by epoch; see `models.base.Model`."""
        return resolve_name(TRAINER)(
            self.config,
            data.manifest,
            run_dir,
            made_of=attempt.made_of,
            backup=attempt.backup,
            limit=data.limit,
        )

    def predict(self, batch: Batch) -> dict[str, np.ndarray]:
        """Compute the outputs of the network for a batch of images or waveforms."""
        if self._predictor is None:
            self._predictor = load_network(self.file)
        output = self._predictor(tf.convert_to_tensor(batch[self.sees[0]], dtype=tf.float32))
        # As CTLearn's networks: the particle type alone comes without its name.
        if not isinstance(output, dict):
            output = {self.tasks[0]: output}
        return {task: np.asarray(output[task]) for task in self.tasks}

    def save(self, folder: Path) -> Path:
        """Write ``model.keras`` and, of a custom network, its Python file."""
        path = folder / "model.keras"
        if self.config.model.type == "custom":
            with atomic_path(folder / "custom_model.py") as temporary:
                shutil.copyfile(self.config.model.file, temporary)
        with atomic_path(path) as temporary:
            self.network.save(temporary)
        return path

    def describe(self) -> dict[str, float]:
        """Give layers, parameters, operations and bytes: of the exported file, if it is one."""
        facts = model_facts(self.network)
        if self.config.export is not None and self.file is not None:
            size, zipped = file_sizes(self.file)
            facts |= {"model_size_mb": size / 1e6, "model_size_zipped_mb": zipped / 1e6}
        return facts

    def summarise(self) -> str:
        """Describe the layers."""
        return summarise(self.network)


def load_keras_model(config: RunConfig, run_dir: RunDir, folder: Path) -> KerasModel:
    """Load the network in ``prepare/`` or ``train/`` of a run, in the form that the run tests.

    Raises
    ------
    UserError
        An export is not there.
    """
    load_custom_code(config, run_dir)
    if folder == run_dir.prepare_dir:
        return KerasModel(config, run_dir.untrained_model)
    return KerasModel(config, run_dir.trained_model, tested_model(config, run_dir))


def tested_model(config: RunConfig, run_dir: RunDir) -> Path:
    """The file that a run predicts with; ``UserError`` if an export is not there."""
    if config.export is None:
        return run_dir.trained_model
    exported = run_dir.exported_model(config.export.format)
    if not exported.is_file():
        raise UserError(
            f"{exported}: expected the export of {config.export.of}, found no file; "
            f"make it again: compress {config.export.of} --to {config.export.format}"
        )
    return exported


def losses_of(tasks: Sequence[str]) -> tuple[Any, Any]:
    """Make losses and logged metrics of the tasks, as ``compile`` takes them.

    The particle type alone comes without its name, as in CTLearn's networks.
    """
    losses = {name: keras.losses.get(TASKS[name].loss) for name in tasks}
    metrics = {
        name: [
            getattr(keras.metrics, kind)(name=said) for said, kind in TASKS[name].watched.items()
        ]
        for name in tasks
    }
    if len(tasks) == 1 and TASKS[tasks[0]].is_bare:
        return losses[tasks[0]], metrics[tasks[0]]
    return losses, metrics


def engine_of(config: RunConfig) -> str:
    """What computes the model of a run."""
    return FORMS[config.export.format].engine if config.export else "keras"


for _name in ("SingleCNN", "ResNet", "custom", "loaded"):
    MODELS.add(
        _name,
        ModelType(
            name=_name,
            build=lambda config, input_shape: KerasModel(config, build_model(config, input_shape)),
            load=load_keras_model,
        ),
    )
