"""Runs of other tasks that predict the same images in the same pass."""

from pathlib import Path

from cherenkov_mlops.config.load import open_run
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.models.base import Model, load_model
from cherenkov_mlops.run_dir import RunDir

#: Options of ``data`` that decide what a network sees of an event.
WHAT_IS_SEEN = (
    "mode",
    "reader",
    "channels",
    "sequence_length",
    "sequence_position",
    "image_mapper_type",
    "allowed_tel_types",
    "stack_telescope_images",
    "sort_by_intensity",
)


def find_models(config: RunConfig, run_dir: RunDir) -> list[Model]:
    """Load the model of the run, and those of the runs in ``test.with_runs``.

    Raises
    ------
    UserError
        A folder holds no trained run, a task is there twice, or a model sees the events in
        another way.
    """
    models = [load_model(config, run_dir)]
    # A run whose tasks others have, too, has none left of its own.
    taken = list(config.own_tasks or config.tasks)
    for folder in config.test.with_runs:
        place = RunDir(Path(folder))
        if not place.path.is_dir() or not place.train_dir.is_dir():
            found = "a folder without a trained model" if place.path.is_dir() else "no folder"
            raise _refusal(folder, "the folder of a trained run", found)
        other, place = open_run(place.path)
        if twice := [task for task in other.tasks if task in taken]:
            raise _refusal(folder, f"a run of another task than {', '.join(taken)}", twice[0])
        if other.export is not None and config.test.engine != "keras":
            raise _refusal(
                folder, f"a trained run for test.engine {config.test.engine}", "an export"
            )
        for name in WHAT_IS_SEEN:
            ours, theirs = getattr(config.data, name), getattr(other.data, name)
            if ours != theirs:
                raise _refusal(folder, f"data.{name}: {ours}, as in this run", str(theirs))
        models.append(load_model(other, place))
        taken += other.own_tasks
    return models


def _refusal(folder: Path | str, expected: str, got: str) -> UserError:
    return UserError(f"test.with_runs: {folder}: expected {expected}, got {got}")
