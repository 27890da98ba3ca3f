"""``run.json``: state and attempts of each stage, and what each was made of."""

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.config.train_section import OLD_DEFAULTS
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.pipeline.stage import COMMANDS, STAGES, owner_of
from cherenkov_mlops.provenance import git_state, machine, package_versions, slurm_job, timestamp
from cherenkov_mlops.run_dir import RunDir, write_json_atomically

#: Version 1 knew one stage that predicted and evaluated, and one task a run.
SCHEMA_VERSION = 2


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
        """Read the record of the run, empty if there is none yet; an old one becomes a new one.

        Raises
        ------
        DataError
            The file is not valid JSON.
        """
        if not run_dir.record.exists():
            return cls(run_dir, {"schema_version": SCHEMA_VERSION, "stages": {}})
        try:
            content = json.loads(run_dir.record.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise DataError(
                f"{run_dir.record}: expected JSON, got {error}; remove it to start the run anew"
            ) from error
        return cls(run_dir, _upgrade(content) if content["schema_version"] == 1 else content)

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
        self.content.update(name=config.run.name, tasks=list(config.tasks), seed=config.run.seed)
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


def _upgrade(content: dict[str, Any]) -> dict[str, Any]:
    """Give a record of version 1 the stages of today, each with what it was made of.

    What was one stage then and is a command of several now counts as all of them, as complete as
    it was.
    """
    stages = dict(content["stages"])
    for former, parts in COMMANDS.items():
        if (entry := stages.pop(former, None)) is None:
            continue
        before = entry.get("made_of", {})
        for number, part in enumerate(parts):
            made_of = {key: value for key, value in before.items() if owner_of(key) == part}
            if number:
                made_of[f"stage {parts[number - 1]}"] = entry.get("completion")
            else:
                # Files, and the mark of the stage before: names that hold a blank.
                made_of |= {key: value for key, value in before.items() if " " in key}
            stages[part] = entry | ({"made_of": made_of} if before else {})
    for name, entry in stages.items():
        made_of = dict(entry.get("made_of", {}))
        for former, parts in COMMANDS.items():
            if f"stage {former}" in made_of:
                made_of[f"stage {parts[-1]}"] = made_of.pop(f"stage {former}")
        if "tasks" in RunConfig.model_fields and "task" in made_of:
            made_of["tasks"] = [made_of.pop("task")]
        stages[name] = entry | ({"made_of": made_of} if made_of else {})
    ordered = {name: stages[name] for name in STAGES if name in stages}
    return content | {"schema_version": SCHEMA_VERSION, "stages": ordered}


def settings_of(stage: str, config: RunConfig) -> dict[str, Any]:
    """Options that decide the result of the stage, by dotted key, in JSON's own types."""
    options = flatten(config.dump())
    owned = {key: value for key, value in options.items() if owner_of(key) == stage}
    return json.loads(json.dumps(owned))


def fingerprint(
    stage: str, config: RunConfig, run_dir: RunDir, record: RunRecord
) -> dict[str, Any]:
    """Settings and inputs that decide the result of the stage, by dotted key.

    Data files count by size and time of change, model files by content, the stage before by the
    mark of its completion.
    """
    entry = STAGES[stage]
    made_of = settings_of(stage, config)
    for file in entry.inputs(config, run_dir):
        status = file.stat()
        made_of[f"file {file}"] = [status.st_size, status.st_mtime_ns]
    for file in entry.content(config, run_dir):
        made_of[f"file {file}"] = hashlib.sha256(file.read_bytes()).hexdigest()
    for earlier in entry.after:
        made_of[f"stage {earlier}"] = record.completion(earlier)
    return made_of | entry.definitions()


def flatten(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values of nested dicts by dotted key."""
    flat = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat
