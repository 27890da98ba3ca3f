"""Every option of a run, typed, described and checked."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, model_validator
from ruamel.yaml import YAML

from cherenkov_mlops.config.base import FileName, FilePath, FolderList, Fraction, Section, TaskList
from cherenkov_mlops.config.cluster_section import SlurmSection
from cherenkov_mlops.config.data_section import DataSection
from cherenkov_mlops.config.model_section import ModelSection
from cherenkov_mlops.config.text import to_yaml
from cherenkov_mlops.config.train_section import (
    PruningSection,
    QuantizationSection,
    SamplingSection,
    TrainSection,
)
from cherenkov_mlops.config.yaml_text import dotted, split_key
from cherenkov_mlops.forms import EXACT_FORMS, FORMS
from cherenkov_mlops.run_dir import RunDir, write_text_atomically


class RunSection(Section):
    """Name, place and seed of the run."""

    name: FileName = Field(description="Name of the run and of its folder.")
    dir: FilePath = Field(
        Path("runs"), description="Folder that holds the run folders, `<run.dir>/<run.name>`."
    )
    seed: int = Field(
        0, ge=0, le=2**32 - 1, description="Seed of weights, split, order of events and bootstrap."
    )


class TestSection(Section):
    """Testing: batches, working point, energy bins, uncertainties."""

    __test__ = False  # Not a test case, whatever pytest makes of the name.

    batch_size: int = Field(64, ge=1, description="Samples a prediction step.")
    with_runs: FolderList = Field(
        [],
        description="Folders of trained runs of other tasks that see the events in the same way: "
        "their predictions go into the same DL2 files, in one pass over the images.",
    )
    engine: Literal["keras", *EXACT_FORMS, "auto"] = Field(
        "keras",
        description="What computes the network: Keras; another engine, which must be installed; "
        "or the fastest of those whose outputs differ from Keras' by at most 1e-5.",
    )
    threshold: float = Field(
        0.5, ge=0, le=1, description="Gammaness from which an event counts as signal."
    )
    signal_efficiency: Fraction = Field(
        0.7, description="Share of the signal that is kept where the rejection is quoted."
    )
    energy_min_tev: float = Field(
        0.01, gt=0, description="Lower end of the true-energy bins in TeV."
    )
    energy_max_tev: float = Field(
        1000.0, gt=0, description="Upper end of the true-energy bins in TeV."
    )
    bins_per_decade: int = Field(5, ge=1, le=100, description="Energy bins a decade.")
    n_bootstrap: int = Field(
        200, ge=0, description="Bootstrap resamplings for the 68 % intervals; 0 = no intervals."
    )


class ReportSection(Section):
    """The page."""

    title: str | None = Field(None, description="Title of the page; null = the name of the run.")


class ExportSection(Section):
    """Which form of the trained model is tested; written by ``compress``."""

    format: Literal[tuple(FORMS)] = Field(description="Form of the file, an option of `compress`.")
    of: FilePath = Field(description="Folder of the run that was exported.")


def name_tasks(values: Any) -> Any:
    """Write ``task: x`` as the list that it is short for, ``tasks: [x]``."""
    if not isinstance(values, dict) or "task" not in values or "tasks" in values:
        return values
    return {
        "tasks" if key == "task" else key: [value] if key == "task" else value
        for key, value in values.items()
    }


class RunConfig(Section):
    """All options of one run, with the places they were read from."""

    run: RunSection = Field(description="Name, place and seed of the run.")
    tasks: TaskList = Field(
        description="What is reconstructed, such as the particle type, the energy [TeV] or the "
        "direction [deg] (one in mono, another in stereo). `task: type` is short for "
        "`tasks: [type]`."
    )
    data: DataSection = Field(DataSection(), description="Files, telescopes and images.")
    model: ModelSection = Field(
        ModelSection(),
        description="The network. A key that starts with a type belongs to it; one that "
        "is null keeps the default of CTLearn or of your class.",
    )
    train: TrainSection = Field(TrainSection(), description="Training.")
    sampling: SamplingSection = Field(SamplingSection(), description="What each epoch sees.")
    pruning: PruningSection | None = Field(
        None, description="Magnitude pruning during the training; null = none."
    )
    quantization: QuantizationSection | None = Field(
        None, description="Training for an 8-bit export; null = none."
    )
    test: TestSection = Field(TestSection(), description="Testing.")
    export: ExportSection | None = Field(
        None,
        description="Written by `compress`: the form in which the model is tested; null = Keras.",
    )
    report: ReportSection = Field(ReportSection(), description="The page.")
    slurm: SlurmSection = Field(SlurmSection(), description="What a SLURM job asks for.")
    ctlearn: dict[str, dict[str, Any]] = Field(
        {},
        description="Options of CTLearn, dl1_data_handler and ctapipe that have no key of their "
        "own here: class name, then option, then value, passed on unchanged.",
    )
    _source: Path | None = PrivateAttr(None)
    _places: dict[str, str] = PrivateAttr(default_factory=dict)

    def dump(self) -> dict[str, Any]:
        """Write all options as plain dicts, lists, texts and numbers, named as in the YAML file."""
        return self.model_dump(mode="json")

    def with_places(self, source: Path, places: dict[str, str]) -> "RunConfig":
        """Make the configuration know its file and the place of each dotted key; it is returned."""
        self._source = source.absolute()
        self._places.update(places)
        return self

    @property
    def source(self) -> Path | None:
        """YAML file that the configuration was read from; None if it was made in Python."""
        return self._source

    def locate(self, key: str) -> str:
        """Find ``file:line:column`` of the dotted ``key``, or of the nearest key above it."""
        parts = split_key(key)
        while parts and dotted(parts) not in self._places:
            parts = parts[:-1]
        return self._places.get(dotted(parts), "")

    def write_to(self, run_dir: RunDir) -> None:
        """Store the configuration in the run folder: as given, and resolved."""
        resolved = to_yaml(self.dump())
        given = self.source if self.source and self.source.is_file() else None
        if given is None:
            write_text_atomically(run_dir.config, resolved)
        elif given.parent.resolve() != run_dir.path.resolve():
            write_text_atomically(run_dir.config, given.read_text(encoding="utf-8-sig"))
        write_text_atomically(run_dir.resolved_config, resolved)

    @model_validator(mode="before")
    @classmethod
    def _one_task(cls, values: Any) -> Any:
        return name_tasks(values)

    @property
    def own_tasks(self) -> list[str]:
        """Tasks that the run's own model learns: those that no run of ``test.with_runs`` has."""
        others = [task for folder in self.test.with_runs for task in tasks_in(Path(folder))]
        return [task for task in self.tasks if task not in others]

    @property
    def run_path(self) -> Path:
        """Run folder, ``<run.dir>/<run.name>``."""
        return self.run.dir / self.run.name

    def changes_from_defaults(self) -> dict[str, tuple[Any, Any]]:
        """(default, value) by dotted key where they differ; name, tasks and files left out."""
        own = {"name": self.run.name, "dir": self.run.dir}
        data = {"train": self.data.train, "test": self.data.test}
        default = RunConfig.model_validate({"run": own, "tasks": self.tasks, "data": data})
        return _differences(default.dump(), self.dump())


def tasks_in(folder: Path) -> list[str]:
    """Tasks of the run in a folder; none if there is no run."""
    path = RunDir(folder).resolved_config
    values = YAML(typ="safe", pure=True).load(path) if path.is_file() else None
    # Runs of version 0.1 have one task.
    return list((values or {}).get("tasks") or filter(None, [(values or {}).get("task")]))


def _differences(old: Any, new: Any, key: str = "") -> dict[str, tuple[Any, Any]]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return {} if old == new else {key: (old, new)}
    found = {}
    for name in dict.fromkeys([*old, *new]):
        below = f"{key}.{name}" if key else name
        found |= _differences(old.get(name), new.get(name), below)
    return found
