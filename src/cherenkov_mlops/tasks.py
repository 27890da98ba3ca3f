"""The reconstruction tasks: what each one needs, predicts and writes."""

from dataclasses import dataclass

from cherenkov_mlops.registry import Registry


@dataclass(frozen=True)
class Task:
    """One quantity that a network reconstructs.

    Parameters
    ----------
    name : str
        Name in CTLearn's ``reco_tasks`` and in the configuration.
    title : str
        Name on a page.
    needs_background : bool
        Whether training needs files of a second class.
    n_outputs : int
        Neurons of the last layer.
    modes : tuple of str
        Reader modes (``mono``, ``stereo``) in which CTLearn's predict tools know the task.
    dl2_group : str
        Group below ``/dl2/event/{telescope,subarray}`` that holds the prediction.
    dl2_prefix : str
        Name of the reconstructor in the DL2 file, and prefix of its columns.
    columns : dict of str to str
        DL2 column without prefix -> column of the event table (``gh_score``, ``reco_energy``, ...).
    units : dict of str to str
        Unit of each column of the event table.
    """

    name: str
    title: str
    needs_background: bool
    n_outputs: int
    modes: tuple[str, ...]
    dl2_group: str
    dl2_prefix: str
    columns: dict[str, str]
    units: dict[str, str]


TASKS: Registry[Task] = Registry("task")

for _task in (
    Task(
        name="type",
        title="Particle type",
        needs_background=True,
        n_outputs=2,
        modes=("mono", "stereo"),
        dl2_group="particle_type",
        dl2_prefix="CTLearnClassifier",
        columns={"prediction": "gh_score"},
        units={"gh_score": ""},
    ),
    Task(
        name="energy",
        title="Energy",
        needs_background=False,
        n_outputs=1,
        modes=("mono", "stereo"),
        dl2_group="energy",
        dl2_prefix="CTLearnRegressor",
        columns={"energy": "reco_energy"},
        units={"reco_energy": "TeV"},
    ),
    Task(
        name="cameradirection",
        title="Direction (camera frame)",
        needs_background=False,
        n_outputs=2,
        modes=("mono",),
        dl2_group="geometry",
        dl2_prefix="CTLearnCameraReconstructor",
        columns={"alt": "reco_alt", "az": "reco_az"},
        units={"reco_alt": "deg", "reco_az": "deg"},
    ),
    Task(
        name="skydirection",
        title="Direction (sky frame)",
        needs_background=False,
        n_outputs=2,
        modes=("stereo",),
        dl2_group="geometry",
        dl2_prefix="CTLearnSkyReconstructor",
        columns={"alt": "reco_alt", "az": "reco_az"},
        units={"reco_alt": "deg", "reco_az": "deg"},
    ),
):
    TASKS.add(_task.name, _task)
