"""What was made from what: a JSON beside the files that a command writes."""

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from glob import escape
from pathlib import Path
from typing import Any

from filelock import FileLock

from cherenkov_mlops.errors import DataError, UserError
from cherenkov_mlops.run_dir import write_json_atomically

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
STARTED, COMPLETE, FAILED = "started", "complete", "failed"


@dataclass(frozen=True)
class Fingerprint:
    """What tells whether a file is still the same.

    Parameters
    ----------
    size : int
        Bytes.
    mtime_ns : int
        Time of the last change.
    sha256 : str
        Digest of the content.
    """

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Fingerprint":
        """Fingerprint of a file; reads all of it."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, digest(path))

    def fits(self, path: Path) -> bool:
        """Whether the file has this content; it is read only if its time of change differs."""
        if not path.is_file():
            return False
        status = path.stat()
        # Cheapest first: a production is terabytes, and is looked at with every command.
        if status.st_size != self.size:
            return False
        return status.st_mtime_ns == self.mtime_ns or digest(path) == self.sha256


def digest(path: Path) -> str:
    """SHA-256 of the content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Ledger:
    """Record of the files that a command made in a folder.

    Several processes may write to one ledger, each about its own files.

    Parameters
    ----------
    folder : Path
        Folder of the outputs.
    command : str
        Name of the command, and of the record: ``<folder>/<command>.json``.
    """

    def __init__(self, folder: Path, command: str):
        self.folder = folder
        self.command = command
        self.path = folder / f"{command}.json"
        self._content = self._read()

    def _read(self) -> dict[str, Any]:
        if not self.path.is_file():
            return {"schema_version": SCHEMA_VERSION, "options": {}, "files": {}}
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            version = content["schema_version"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{self.path}: expected the record of an earlier `{self.command}`, got something "
                "else; choose another folder"
            ) from error
        if version != SCHEMA_VERSION:
            raise DataError(
                f"{self.path}: expected schema version {SCHEMA_VERSION}, got {version}; "
                "choose another folder"
            )
        return content

    def facts(self, output: Path) -> dict[str, Any]:
        """Look up what was recorded about a finished output."""
        return self._content["files"][output.name]["facts"]

    def outputs(self) -> dict[str, dict[str, Any]]:
        """Name -> recorded facts of all finished outputs."""
        files = self._content["files"].items()
        return {name: entry["facts"] for name, entry in files if entry["state"] == COMPLETE}

    def is_finished(
        self, output: Path, inputs: Sequence[Path], options: dict[str, Any], *, force: bool
    ) -> bool:
        """Whether the output is there, whole, and was made from these inputs with these options.

        Raises
        ------
        UserError
            The output was made with other options, or by something else, and ``force`` is not set.
        """
        entry = self._content["files"].get(output.name)
        if force:
            return False
        if entry is None:
            if output.exists():
                raise UserError(
                    f"{output}: exists, and `{self.command}` did not make it; "
                    "write --force to replace it, or choose another folder"
                )
            return False
        if not self.is_whole(output):
            return False
        # What another set of options made is worth as much: it is not replaced unasked.
        made_with = self._content["options"][entry["options"]]
        differing = [
            f"{name}: {made_with.get(name, 'not set')} -> {options.get(name, 'not set')}"
            for name in sorted({*made_with, *options})
            if made_with.get(name) != options.get(name)
        ]
        if differing:
            raise UserError(
                f"{output}: was made with other options ({', '.join(differing)}); "
                "write --force to make it again, or choose another folder"
            )
        recorded = entry["inputs"]
        is_same = len(recorded) == len(inputs) and all(
            Fingerprint(each["size"], each["mtime_ns"], each["sha256"]).fits(path)
            for each, path in zip(recorded, inputs, strict=True)
        )
        if not is_same:
            log.info("%s: its input changed since it was made", output)
        return is_same

    def is_whole(self, output: Path) -> bool:
        """Whether the output is there as it was once made, of whatever."""
        entry = self._content["files"].get(output.name, {"state": STARTED})
        return entry["state"] == COMPLETE and Fingerprint(**entry["output"]).fits(output)

    def begin(self, outputs: Iterable[Path], options: dict[str, Any]) -> None:
        """Note that the outputs are being made: what a kill leaves of them may be replaced."""
        names = [output.name for output in outputs]
        if not names:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_remains(self.folder, names)
        key = _key(options)
        entries = {name: {"state": STARTED, "options": key} for name in names}
        self._update(entries, {key: options})

    def finish(
        self,
        output: Path,
        inputs: dict[Path, Fingerprint],
        made: Fingerprint,
        options: dict[str, Any],
        facts: dict[str, Any],
    ) -> None:
        """Note that the output is whole, and what there is to know about it."""
        entry = {
            "state": COMPLETE,
            "options": _key(options),
            "inputs": [{"path": str(path), **asdict(print_)} for path, print_ in inputs.items()],
            "output": asdict(made),
            "facts": facts,
        }
        self._update({output.name: entry})

    def fail(self, output: Path, inputs: Sequence[Path], reason: str) -> None:
        """Note that the output could not be made."""
        paths = [{"path": str(path)} for path in inputs]
        self._update({output.name: {"state": FAILED, "inputs": paths, "reason": reason}})

    def _update(self, files: dict[str, Any], options: dict[str, Any] | None = None) -> None:
        with FileLock(self.folder / f".{self.path.name}.lock"):
            # Read again under the lock: another process may have written since.
            self._content = self._read()
            self._content["options"].update(options or {})
            self._content["files"].update(files)
            write_json_atomically(self.path, self._content)


def remove_remains(folder: Path, names: Iterable[str]) -> None:
    """Remove what killed writers left of the outputs with these names."""
    for name in names:
        # Only names that our writers give, with the number of a process: nobody else's files.
        stem = Path(name).stem
        temporary = re.compile(rf"^\.{re.escape(stem)}(\.copy)?\.\d+\.tmp\.\w+$")
        for path in folder.glob(f".{escape(stem)}.*.tmp.*"):
            if temporary.match(path.name):
                path.unlink(missing_ok=True)


def _key(options: dict[str, Any]) -> str:
    # Options are many and mostly the same: each set is stored once, under its digest.
    text = json.dumps(options, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
