"""What a model is: it learns from prepared data, and turns what it sees of events into answers.

A model of your own is one class with these methods, and one `ModelType` that is added to `MODELS`
and named to the configuration by ``config.model_section.MODEL_TYPES``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np

from cherenkov_mlops.config.model_section import MODEL_TYPES
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.registry import Registry
from cherenkov_mlops.run_dir import RunDir

if TYPE_CHECKING:
    from cherenkov_mlops.dl1.training_data import TrainingData

#: What a model may see of an event.
View = Literal["images", "waveforms", "pixels", "parameters"]
Frame = Literal["camera", "hillas"]

#: What is seen -> its values for some events: an array whose first axis is the events, or, for
#: ``parameters``, one such array a column. A network may have several inputs.
type Batch = Mapping[str, Any]


@runtime_checkable
class Model(Protocol):
    """A model of one task or several: a Keras network, one in an exported form, a forest, ...

    Attributes
    ----------
    tasks : sequence of str
        What it reconstructs.
    sees : sequence of str
        What a batch must hold, any of ``images``, ``waveforms``, ``pixels``, ``parameters``.
    frame : {"camera", "hillas"}
        Frame of images and waveforms.
    """

    tasks: Sequence[str]
    sees: Sequence[str]
    frame: Frame

    def fit(self, data: "TrainingData", run_dir: RunDir, attempt: Any) -> dict[str, Any]:
        """Learn from the training set; what was learnt goes to ``train/``.

        Parameters
        ----------
        data : TrainingData
            Events and labels of the training and of the validation set.
        run_dir : RunDir
            The run.
        attempt : Attempt
            State to go on from, and when the training has to be over.

        Returns
        -------
        dict
            Facts about the training: at least ``loss`` and ``val_loss`` of a model that learns in
            one go, and what it writes no ``history.csv`` of.
        """

    def predict(self, batch: Batch) -> dict[str, np.ndarray]:
        """Answer for a batch of events: task -> array of shape (n, n_outputs)."""

    def save(self, folder: Path) -> Path:
        """Write the model into a folder, whole or not at all; its file."""

    def describe(self) -> dict[str, float]:
        """Give facts for ``metrics.json``: parameters, layers, operations, bytes."""

    def summarise(self) -> str:
        """Describe the model in lines of text, for the page."""


@dataclass(frozen=True)
class ModelType:
    """One value of ``model.type``.

    Parameters
    ----------
    name : str
        The value.
    build : callable
        ``build(config, input_shape)``: the untrained model; ``input_shape`` is that of one image.
    load : callable
        ``load(config, run_dir, folder)``: the model that ``save`` wrote into ``prepare/`` or
        ``train/`` of a run.
    options : tuple of str
        Keys of the section ``model`` that it knows, beside ``type``.
    """

    name: str
    build: Callable[[RunConfig, tuple[int, ...]], Model]
    load: Callable[[RunConfig, RunDir, Path], Model]
    options: tuple[str, ...] = ("options",)


MODELS: Registry[ModelType] = Registry("model type")


def add_model(model_type: ModelType) -> ModelType:
    """Register a model type, for the configuration too; the type itself.

    Raises
    ------
    ValueError
        The name is taken.
    """
    if model_type.name not in MODEL_TYPES:
        MODEL_TYPES.add(model_type.name, model_type.options)
    return MODELS.add(model_type.name, model_type)


def model_type_of(config: RunConfig) -> ModelType:
    """Look up the type of a run's model.

    Raises
    ------
    UserError
        It was registered for the configuration only.
    """
    if config.model.type not in MODELS:
        # Networks are registered when they are imported, and TensorFlow takes seconds for that:
        # a model that needs none of it does not wait.
        resolve_name("cherenkov_mlops.models.keras_model:KerasModel")
    return MODELS[config.model.type]


def load_model(config: RunConfig, run_dir: RunDir) -> Model:
    """Load the trained model of a run, in whatever form the run tests it."""
    return model_type_of(config).load(config, run_dir, run_dir.train_dir)
