"""What a reconstruction task is, and the registry of all."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cherenkov_mlops.registry import Registry

if TYPE_CHECKING:
    from astropy.coordinates import EarthLocation
    from astropy.units import Quantity

#: Columns by name: a table, or a dictionary of arrays.
type Columns = Mapping[str, Any]

Mode = Literal["mono", "stereo"]


@dataclass(frozen=True)
class DL2Place:
    """Where a task's predictions stand in a DL2 file of ctapipe.

    Parameters
    ----------
    group : str
        Group below ``/dl2/event/{telescope,subarray}``: one of ctapipe's reconstruction
        properties, or a name of the task's own.
    prefix : str
        Name of the reconstructor, and prefix of its columns.
    columns : mapping of str to str
        DL2 column without prefix -> column of the event table (``gh_score``, ``reco_energy``, ...).
    container : str
        ctapipe's container, of which a DL2 table takes defaults and descriptions; empty for a
        group that ctapipe does not know.
    property : str
        ctapipe's ``ReconstructionProperty`` by which its stereo combiners know the quantity; empty
        if they do not.
    """

    group: str
    prefix: str
    columns: Mapping[str, str]
    container: str = ""
    property: str = ""


@dataclass(frozen=True)
class Instrument:
    """What a task knows of the telescopes when it decodes what a model says.

    Parameters
    ----------
    location : EarthLocation
        Reference of the array.
    tel_locations : mapping of int to EarthLocation
        Telescope -> its place.
    focal_lengths, rotations : mapping of int to Quantity
        Telescope -> focal length, and rotation of the pixels in the camera frame.
    """

    location: "EarthLocation"
    tel_locations: Mapping[int, "EarthLocation"]
    focal_lengths: Mapping[int, "Quantity"]
    rotations: Mapping[int, "Quantity"]


@dataclass(frozen=True)
class Task(ABC):
    """One quantity that a model reconstructs.

    A new task is one file: a subclass that says how labels, decoding and the error of one event
    are computed, and an instance of it that is added to `TASKS`.

    Parameters
    ----------
    name : str
        Name in the configuration, and key of the network's output.
    title : str
        Name on a page.
    kind : str
        Kind of its metrics and figures; tasks that predict the same quantity share one.
    kind_title : str
        Name of the kind on a page.
    modes : tuple of str
        Reader modes (``mono``, ``stereo``) in which it makes sense.
    needs_background : bool
        Whether it is learnt from two classes of files.
    n_outputs : int
        Neurons of the last layer.
    truth : mapping of str to str
        Column of the simulated showers -> unit, joined into the event table. ``tel_x`` and
        ``tel_y`` name the place of the telescope in the ground frame (mono).
    columns : mapping of str to str
        Predicted column of the event table -> unit.
    dl2 : DL2Place
        Where predictions stand in a DL2 file.
    loss : str
        Keras' class of the loss.
    watched : mapping of str to str
        Name in the history -> Keras' class of a metric that is logged each epoch.
    required : tuple of str
        Columns that an event table must have for its metrics.
    needs_pointing : bool
        Whether its answers are decoded relative to where the telescopes pointed.
    is_bare : bool
        Whether CTLearn's networks for this task alone give a tensor instead of a dictionary.
    error_title, error_unit : str
        The error of one event, on a page.
    answer : str
        What the model says, for the model card.
    pipeline_tag : str
        Kind of the task in the words of model cards.
    elsewhere : str
        Task to take in the other mode, for messages; empty if there is none.
    """

    name: str
    title: str
    kind: str
    kind_title: str
    modes: tuple[Mode, ...]
    n_outputs: int
    columns: Mapping[str, str]
    dl2: DL2Place
    loss: str
    required: tuple[str, ...]
    error_title: str
    answer: str
    error_unit: str = ""
    needs_background: bool = False
    truth: Mapping[str, str] = field(default_factory=dict)
    watched: Mapping[str, str] = field(default_factory=dict)
    needs_pointing: bool = False
    is_bare: bool = False
    pipeline_tag: str = "other"
    elsewhere: str = ""

    @abstractmethod
    def labels(self, examples: Columns) -> np.ndarray:
        """Compute what a network is to answer, shape (n, n_outputs).

        Parameters
        ----------
        examples : mapping of str to array
            The reader's table of examples.
        """

    @abstractmethod
    def decode(
        self, output: np.ndarray, events: Columns, instrument: Instrument
    ) -> dict[str, np.ndarray]:
        """Turn what a network answered into columns of the event table, in their units.

        Parameters
        ----------
        output : array
            Shape (n, n_outputs).
        events : mapping of str to array
            ``tel_id`` (mono), ``pointing_alt`` and ``pointing_az`` [deg] of each row.
        instrument : Instrument
            The telescopes.
        """

    @abstractmethod
    def error(self, events: Columns) -> np.ndarray:
        """Compute how wrong each prediction is, shape (n,), in ``error_unit``."""

    @abstractmethod
    def shown(self, values: Mapping[str, float]) -> list[tuple[str, Sequence[float | None], str]]:
        """List what a page shows beside the image of an event: words, numbers and unit.

        Parameters
        ----------
        values : mapping of str to float
            True and reconstructed values of the event; those that are not known are left out.
        """

    @abstractmethod
    def sample(self, random: np.random.Generator, n_events: int) -> dict[str, np.ndarray]:
        """Draw an event table as metrics and figures take it, for checks of their arrays."""

    def check_output(self, values: np.ndarray) -> str:
        """Describe what is wrong with the values of a forward pass; empty if nothing is."""
        if not np.isfinite(values).all():
            return f"expected finite values from a forward pass, got {values.tolist()}"
        return ""

    def may_be_nan(self, name: str, events: Columns) -> np.ndarray | None:
        """Mask the rows in which the column may be NaN; None if it never may."""
        return None

    def derive(self, events: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Add or mend columns that the metrics read; by default, give them back as they are."""
        return events

    def describe_predictions(
        self, events: Columns, trained_tev: tuple[float, float]
    ) -> dict[str, Any]:
        """Give facts of its own about all predictions of a run, beside those of every task."""
        return {}


TASKS: Registry[Task] = Registry("task")


def kinds() -> dict[str, Task]:
    """Map each kind of metrics and figures to the first task that has it."""
    found: dict[str, Task] = {}
    for task in TASKS.values():
        found.setdefault(task.kind, task)
    return found


def task_of_kind(kind: str) -> Task:
    """Find the first task whose metrics and figures are of this kind."""
    return kinds()[kind]
