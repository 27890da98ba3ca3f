"""``run.json``: state and attempts of each stage, and what each was made of."""

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.config.train_section import OLD_DEFAULTS
from cherenkov_mlops.data.files import files_of
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.provenance import git_state, machine, package_versions, slurm_job, timestamp
from cherenkov_mlops.run_dir import RunDir, write_json_atomically

SCHEMA_VERSION = 1

# The stage that a change of a key makes stale; the longest prefix counts.
OWNERS = {
    "run.seed": "prepare",
    "task": "prepare",
    "data": "prepare",
    "data.test": "test",
    "data.classes": "test",
    "data.cache": "",
    "data.cache_dir": "",
    "data.cache_local_dir": "",
    "data.cache_dtype": "train",
    "model": "prepare",
    "ctlearn": "prepare",
    "pruning": "train",
    "quantization": "train",
    "train": "train",
    "train.validation_split": "prepare",
    "train.split_by": "prepare",
    "sampling": "train",
    "test": "test",
    "export": "test",
    "report": "report",
}
UPSTREAM = {"train": "prepare", "test": "train", "report": "test"}
INPUTS = {"prepare": "train", "test": "test"}


class RunRecord:
    """The content of ``run.json``; every change is written at once, atomically.

    Parameters
    ----------
    run_dir : RunDir
        The run.
    content : dict
        Parsed JSON.
    """

    def __init__(self, run_dir: RunDir, content: dict[str, Any]):
        self.run_dir = run_dir
        self.content = content

    @classmethod
    def read(cls, run_dir: RunDir) -> "RunRecord":
        """The record of the run, empty if there is none yet.

        Raises
        ------
        DataError
            The file is not valid JSON.
        """
        if not run_dir.record.exists():
            return cls(run_dir, {"schema_version": SCHEMA_VERSION, "stages": {}})
        try:
            return cls(run_dir, json.loads(run_dir.record.read_text(encoding="utf-8")))
        except json.JSONDecodeError as error:
            raise DataError(
                f"{run_dir.record}: expected JSON, got {error}; remove it to start the run anew"
            ) from error

    def state(self, stage: str) -> str | None:
        """State of the stage; None if never run.

        ``running`` (also after a kill), ``complete``, ``failed``, ``interrupted`` by Ctrl-C,
        ``stopped`` at a time limit.
        """
        return self.content["stages"].get(stage, {}).get("state")

    def fingerprint(self, stage: str) -> dict[str, Any] | None:
        """Settings and inputs that the stage was completed with."""
        made_of = self.content["stages"].get(stage, {}).get("made_of")
        if made_of is None:
            return None
        # Options that are gone decide nothing, where they stood at what is done without them.
        gone = {key for key, value in OLD_DEFAULTS.items() if made_of.get(key) == value}
        return {key: value for key, value in made_of.items() if key not in gone}

    def completion(self, stage: str) -> str | None:
        """Mark of the last completion of the stage; None if it never was complete."""
        return self.content["stages"].get(stage, {}).get("completion")

    def ignored(self, stage: str) -> dict[str, Any]:
        """Options that were asked for when the stage was completed, but came too late for it."""
        return self.content["stages"].get(stage, {}).get("ignored", {})

    def start(self, stage: str, config: RunConfig) -> int:
        """Number of the attempt that begins now, 1 for the first."""
        self.content.setdefault("id", uuid.uuid4().hex)
        self.content.update(name=config.run.name, task=config.task, seed=config.run.seed)
        entry = self.content["stages"].setdefault(stage, {"attempts": []})
        entry["state"] = "running"
        entry["attempts"].append(
            {
                "started": timestamp(),
                "machine": machine(),
                "slurm": slurm_job(),
                "versions": package_versions(),
                "git": git_state(Path(__file__)),
            }
        )
        self.write()
        return len(entry["attempts"])

    def complete(self, stage: str, made_of: dict[str, Any], ignored: dict[str, Any]) -> None:
        """Record that the running attempt did its work, what it was made of and what ignored."""
        # Later stages know their input by this mark, whatever attempts come after it. It is
        # written together with the state: a kill in between would leave one without the other.
        mark = {"made_of": made_of, "completion": uuid.uuid4().hex, "ignored": ignored}
        self.content["stages"][stage] |= mark
        self.end(stage, "complete")

    def end(
        self,
        stage: str,
        state: str,
        error: BaseException | None = None,
        *,
        came_back: str | None = None,
    ) -> None:
        """Record how the running attempt ended; ``came_back`` is the state of older output."""
        entry = self.content["stages"][stage]
        entry["state"] = came_back or state
        attempt = entry["attempts"][-1] | {"ended": timestamp(), "state": state}
        if error is not None:
            attempt["error"] = f"{type(error).__name__}: {error}"
        entry["attempts"][-1] = attempt
        self.write()

    def write(self) -> None:
        """Write ``run.json``."""
        write_json_atomically(self.run_dir.record, self.content)


def settings_of(stage: str, config: RunConfig) -> dict[str, Any]:
    """Options that decide the result of the stage, by dotted key, in JSON's own types."""
    options = _flatten(config.dump())
    owned = {key: value for key, value in options.items() if _owner(key) == stage}
    return json.loads(json.dumps(owned))


def fingerprint(
    stage: str, config: RunConfig, run_dir: RunDir, record: RunRecord
) -> dict[str, Any]:
    """Settings and inputs that decide the result of the stage, by dotted key.

    Data files count by size and time of change, model files by content, the stage before by the
    mark of its completion.
    """
    made_of = settings_of(stage, config)
    if stage in INPUTS:
        for files in files_of(config, INPUTS[stage]).values():
            for file in files:
                status = file.stat()
                made_of[f"file {file}"] = [status.st_size, status.st_mtime_ns]
    if stage == "prepare":
        for file in _model_files(config):
            made_of[f"file {file}"] = hashlib.sha256(file.read_bytes()).hexdigest()
    if stage == "test":
        for folder in (run_dir, *(RunDir(Path(path)) for path in config.test.with_runs)):
            for model in (folder.trained_model, *folder.exports):
                if model.is_file() and (folder is not run_dir or config.export):
                    made_of[f"file {model}"] = hashlib.sha256(model.read_bytes()).hexdigest()
    if stage in UPSTREAM:
        made_of[f"stage {UPSTREAM[stage]}"] = record.completion(UPSTREAM[stage])
    return made_of


def _model_files(config: RunConfig) -> list[Path]:
    """Files that a model is made from: code, trained weights, those among its options."""
    options = (config.model.options or {}).values()
    named = [Path(value) for value in options if isinstance(value, str)]
    given = [config.model.file, config.model.load_model_from, *named]
    return [file for file in given if file is not None and file.is_file()]


def _flatten(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            flat.update(_flatten(value, f"{name}."))
        else:
            flat[name] = value
    return flat


def _owner(key: str) -> str | None:
    prefixes = [name for name in OWNERS if key == name or key.startswith(f"{name}.")]
    return OWNERS[max(prefixes, key=len)] if prefixes else None
