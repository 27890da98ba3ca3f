"""What a model is: it learns from prepared data, and turns what it sees of events into answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np

from cherenkov_mlops.registry import Registry

if TYPE_CHECKING:
    from cherenkov_mlops.config.schema import RunConfig

#: What a model may see of an event.
View = Literal["images", "waveforms", "pixels", "parameters"]
Frame = Literal["camera", "hillas"]

#: What is seen -> array whose first axis is the events. A network may have several inputs.
type Batch = Mapping[str, np.ndarray]


@runtime_checkable
class Model(Protocol):
    """A model of one task or several: a Keras network, one in an exported form, a forest, ...

    Attributes
    ----------
    tasks : tuple of str
        What it reconstructs.
    sees : tuple of str
        What a batch must hold, any of ``images``, ``waveforms``, ``pixels``, ``parameters``.
    frame : {"camera", "hillas"}
        Frame of images and waveforms.
    """

    tasks: Sequence[str]
    sees: Sequence[View]
    frame: Frame

    def fit(
        self, data: Any, run_dir: Any, options: "RunConfig", resume: Any = None
    ) -> dict[str, Any]:
        """Learn from the training set, best model and history into ``train/``.

        Parameters
        ----------
        data : TrainingData
            The manifest of the run, with its rows in each set.
        run_dir : RunDir
            Where model, history and logs go.
        options : RunConfig
            The run.
        resume : Resume, optional
            State to go on from, and when the training has to be over.

        Returns
        -------
        dict
            Facts about the training: epochs, best loss, time.
        """

    def predict(self, batch: Batch) -> dict[str, np.ndarray]:
        """Answer for a batch of events: task -> array of shape (n, n_outputs)."""

    def save(self, folder: Path) -> Path:
        """Write the model into a folder, whole or not at all; the file."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the model that `save` wrote.

        Raises
        ------
        UserError
            The folder holds none.
        """

    def describe(self) -> dict[str, float]:
        """Give facts for ``metrics.json``: parameters, layers, operations, bytes."""


@dataclass(frozen=True)
class ModelType:
    """One value of ``model.type``.

    Parameters
    ----------
    name : str
        The value.
    build : callable
        ``build(config, shapes)``: the untrained model, where ``shapes`` gives the shape of one
        event for everything that the model sees.
    load : callable
        ``load(config, run_dir)``: the trained one of a run.
    options : tuple of str
        Keys of the section ``model`` that it knows, beside ``type``.
    """

    name: str
    build: Any
    load: Any
    options: tuple[str, ...] = ()
    sees: ClassVar[tuple[View, ...]] = ("images",)


MODELS: Registry[ModelType] = Registry("model type")
