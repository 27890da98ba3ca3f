"""The stages of a run: one table that everything else reads."""

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal

from cherenkov_mlops.errors import UserError
from cherenkov_mlops.registry import Registry, did_you_mean
from cherenkov_mlops.run_dir import RunDir

if TYPE_CHECKING:
    from cherenkov_mlops.config.schema import RunConfig

#: Options of the command line that a stage may take, beside those that every stage takes.
type Option = Literal["deadline", "no_cache", "engine", "gates", "strict", "figures"]


def nothing(config: "RunConfig", run_dir: RunDir) -> tuple[Path, ...]:
    """No files."""
    return ()


@dataclass(frozen=True)
class Stage:
    """One step of a run: it turns what the stage before left in the folder into its own output.

    Parameters
    ----------
    name : str
        Its name: command, entry of ``run.json``, section of ``slurm.stages``.
    help : str
        What it does, in a line.
    body : str or callable
        ``body(config, run_dir, attempt)`` does the work and writes only what ``outputs`` names;
        ``attempt.options`` holds the options of the command line, ``attempt.backup`` the state to
        go on from. A text names it as an entry point does (``package.module:function``): it is
        imported when the stage runs.
    outputs : callable
        ``outputs(run_dir)``: files and folders that it makes; the first one is there if it is
        complete.
    after : tuple of str
        Stages whose output it needs, complete and made with the settings of now.
    owns : tuple of str
        Dotted keys of the configuration whose change makes its output stale; of several stages
        that own a key or a part of it, the longest key counts.
    inputs : callable
        ``inputs(config, run_dir)``: files that decide its result by size and time of change.
    content : callable
        ``content(config, run_dir)``: files that do so by their content, whatever their time.
    definitions : callable
        ``definitions()``: what of the program decides its result -> a digest or a version.
    on_change : {"refuse", "remake"}
        Whether a complete stage that has become stale is refused, because making it again is
        costly, or simply made again.
    resumes : bool
        Whether an interrupted attempt is gone on with.
    gpu, long : bool
        Whether its job on a cluster asks for a GPU, and for the time of a training.
    alone : bool
        Whether it runs from what is in the folder, whatever stages came before.
    options : tuple of str
        Further options that its command takes.
    run : str or callable, optional
        ``run(config, run_dir, *, force, **options)``, what its command calls instead of
        ``lifecycle.run_stage``: for what is to be done though the stage is complete.
    """

    name: str
    help: str
    body: str | Callable[..., None]
    outputs: Callable[[RunDir], Sequence[Path]]
    after: tuple[str, ...] = ()
    owns: tuple[str, ...] = ()
    inputs: "Callable[[RunConfig, RunDir], Sequence[Path]]" = nothing
    content: "Callable[[RunConfig, RunDir], Sequence[Path]]" = nothing
    definitions: Callable[[], Mapping[str, str]] = dict
    on_change: Literal["refuse", "remake"] = "refuse"
    resumes: bool = False
    gpu: bool = False
    long: bool = False
    alone: bool = False
    options: "tuple[Option, ...]" = ()
    run: str | Callable[..., None] | None = None

    def load_body(self) -> Callable[..., Any]:
        """Import the function that does the work."""
        return resolve_name(self.body) if isinstance(self.body, str) else self.body

    def load_run(self) -> Callable[..., Any] | None:
        """Import the function that its command calls; None for that of all stages."""
        return resolve_name(self.run) if isinstance(self.run, str) else self.run


STAGES: Registry[Stage] = Registry("stage")

#: Commands that run several stages, each after the one before.
COMMANDS: dict[str, tuple[str, ...]] = {"test": ("predict", "evaluate")}

#: Options that decide no result, though another key of the table begins them.
FREE = ("data.cache", "data.cache_dir", "data.cache_local_dir")


def names() -> list[str]:
    """All stages, each after those that it needs."""
    return list(STAGES)


def ancestors(name: str) -> list[str]:
    """All stages whose output the stage needs, directly or by way of others, in order."""
    wanted = set(STAGES[name].after)
    for earlier in reversed(names()):
        if earlier in wanted:
            wanted.update(STAGES[earlier].after)
    return [earlier for earlier in STAGES if earlier in wanted]


def up_to(name: str | None) -> list[str]:
    """Stages from the first to the one named, or to the last of those that a command runs."""
    everything = names()
    if name is None:
        return everything
    last = expand([name], "--until")[-1]
    return everything[: everything.index(last) + 1]


def expand(given: Sequence[str], option: str) -> list[str]:
    """Stages among names of stages and of commands that run several, in order, each once.

    Raises
    ------
    UserError
        A name is neither; ``option`` says where it was written.
    """
    known = [*names(), *COMMANDS]
    for name in given:
        if name not in known:
            raise UserError(f"{option}: no stage '{name}'; {did_you_mean(name, known)}")
    wanted = {stage for name in given for stage in COMMANDS.get(name, (name,))}
    return [stage for stage in names() if stage in wanted]


def owner_of(key: str) -> str | None:
    """Name of the stage that a change of the dotted key makes stale; None if there is none."""
    owned = {part: stage.name for stage in STAGES.values() for part in stage.owns}
    owned |= dict.fromkeys(FREE)
    prefixes = [part for part in owned if key == part or key.startswith(f"{part}.")]
    return owned[max(prefixes, key=len)] if prefixes else None


def maker_of(path: Path, run_dir: RunDir) -> Stage:
    """The stage that makes a file or folder of the run; ``KeyError`` if none does."""
    for stage in STAGES.values():
        if path in stage.outputs(run_dir):
            return stage
    raise KeyError(path)


def check_cluster_names(config: "RunConfig") -> list[str]:
    """One line for each key of ``slurm.stages`` that names neither a stage nor a command."""
    known = [*names(), *COMMANDS]
    return [
        f"{config.locate(f'slurm.stages.{name}')}: slurm.stages.{name}: no such stage; "
        f"{did_you_mean(name, known)}"
        for name in config.slurm.stages
        if name not in known
    ]


def _data_files(part: str) -> "Callable[[RunConfig, RunDir], list[Path]]":
    def find(config: "RunConfig", run_dir: RunDir) -> list[Path]:
        # The help of a command, which reads this table, needs no configuration.
        from cherenkov_mlops.data.files import files_of

        return [file for files in files_of(config, part).values() for file in files]

    return find


def _model_files(config: "RunConfig", run_dir: RunDir) -> list[Path]:
    """Files that a model is made from: code, trained weights, those among its options."""
    options = (config.model.options or {}).values()
    named = [Path(value) for value in options if isinstance(value, str)]
    given = [config.model.file, config.model.load_model_from, *named]
    return [file for file in given if file is not None and file.is_file()]


def _tested_models(config: "RunConfig", run_dir: RunDir) -> list[Path]:
    """Models that come from elsewhere: those of other runs, and the exports of this one."""
    folders = [RunDir(Path(path)) for path in config.test.with_runs]
    if config.export is not None:
        folders.insert(0, run_dir)
    found = [path for folder in folders for path in (folder.trained_model, *folder.exports)]
    return [path for path in found if path.is_file()]


@cache
def _definitions() -> dict[str, str]:
    """Digest of the source of every metric and figure, with the version of what they share."""
    # The help of a command, which reads this table, needs neither.
    from cherenkov_mlops.figures.base import FIGURES
    from cherenkov_mlops.metrics.base import DEFINITIONS_VERSION, METRICS

    digest = hashlib.sha256(str(DEFINITIONS_VERSION).encode())
    for registry in (METRICS, FIGURES):
        for name, entry in registry.items():
            functions = [value for value in vars(entry).values() if inspect.isfunction(value)]
            sources = [inspect.getsource(function) for function in functions]
            digest.update("".join([name, *sources]).encode())
    return {"definitions of metrics and figures": digest.hexdigest()[:16]}


for _stage in (
    Stage(
        "prepare",
        "Check the data, split them, build the untrained model.",
        "cherenkov_mlops.stages.prepare:prepare",
        lambda run_dir: (run_dir.manifest.parent,),
        owns=(
            *("run.seed", "task", "tasks", "data", "model", "ctlearn"),
            *("train.validation_split", "train.split_by"),
        ),
        inputs=_data_files("train"),
        content=_model_files,
    ),
    Stage(
        "train",
        "Train the prepared model; what was interrupted goes on.",
        "cherenkov_mlops.stages.train:train",
        lambda run_dir: (run_dir.train_dir,),
        after=("prepare",),
        owns=("train", "pruning", "quantization", "sampling", "data.cache_dtype"),
        resumes=True,
        gpu=True,
        long=True,
        options=("deadline", "no_cache"),
    ),
    Stage(
        "predict",
        "Predict the test files: one DL2 file each.",
        "cherenkov_mlops.stages.predict:predict",
        # Where an earlier version of this program wrote them, too: an attempt replaces both.
        lambda run_dir: (
            run_dir.predict_dir,
            *({run_dir.new_predict_dir, run_dir.old_predict_dir} - {run_dir.predict_dir}),
        ),
        after=("train",),
        owns=("test", "export", "data.test"),
        inputs=_data_files("test"),
        content=_tested_models,
        gpu=True,
        options=("engine",),
    ),
    Stage(
        "evaluate",
        "Compute all metrics from the predictions; needs no GPU.",
        "cherenkov_mlops.stages.evaluate:evaluate",
        lambda run_dir: (run_dir.metrics,),
        after=("predict",),
        owns=(
            *("test.threshold", "test.signal_efficiency", "test.n_bootstrap"),
            *("test.energy_min_tev", "test.energy_max_tev", "test.bins_per_decade"),
            "data.classes",
        ),
        definitions=_definitions,
        on_change="remake",
        options=("gates",),
    ),
    Stage(
        "report",
        "Write the page of a tested run.",
        "cherenkov_mlops.stages.report:report",
        lambda run_dir: (run_dir.report, run_dir.model_card),
        after=("evaluate",),
        owns=("report",),
        on_change="remake",
        alone=True,
        options=("strict", "figures"),
        run="cherenkov_mlops.stages.report:run",
    ),
):
    STAGES.add(_stage.name, _stage)
