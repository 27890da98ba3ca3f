"""Runs of other tasks that predict the same images in the same pass."""

from pathlib import Path

from cherenkov_mlops.config.load import open_run
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.models.builder import load_custom_code
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


def find_models(config: RunConfig, run_dir: RunDir) -> dict[str, Path]:
    """Task -> trained model: that of the run, and those of the runs in ``test.with_runs``.

    Raises
    ------
    UserError
        A folder holds no trained run, a task is there twice, or a network sees the events in
        another way.
    """
    models = {config.task: tested_model(config, run_dir)}
    for folder in config.test.with_runs:
        other, place = _open(Path(folder))
        if other.task in models:
            raise _refusal(folder, f"a run of another task than {', '.join(models)}", other.task)
        if other.export is not None and config.test.engine != "keras":
            raise _refusal(
                folder, f"a trained run for test.engine {config.test.engine}", "an export"
            )
        for name in WHAT_IS_SEEN:
            ours, theirs = getattr(config.data, name), getattr(other.data, name)
            if ours != theirs:
                raise _refusal(folder, f"data.{name}: {ours}, as in this run", str(theirs))
        load_custom_code(other, place)
        models[other.task] = tested_model(other, place)
    return models


def tested_model(config: RunConfig, run_dir: RunDir) -> Path:
    """The file that ``test`` predicts with; ``UserError`` if an export is not there."""
    if config.export is None:
        return run_dir.trained_model
    exported = run_dir.exported_model(config.export.format)
    if not exported.is_file():
        raise UserError(
            f"{exported}: expected the export of {config.export.of}, found no file; "
            f"make it again: compress {config.export.of} --to {config.export.format}"
        )
    return exported


def _open(folder: Path) -> tuple[RunConfig, RunDir]:
    if not folder.is_dir() or not RunDir(folder).trained_model.is_file():
        found = "a folder without a trained model" if folder.is_dir() else "no folder"
        raise _refusal(folder, "the folder of a trained run", found)
    return open_run(folder)


def _refusal(folder: Path | str, expected: str, got: str) -> UserError:
    return UserError(f"test.with_runs: {folder}: expected {expected}, got {got}")
