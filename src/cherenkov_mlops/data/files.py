"""From the patterns of the configuration to lists of files."""

from collections.abc import Sequence
from glob import escape, glob, has_magic
from pathlib import Path

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.tasks import TASKS

LABELS = ("signal", "background")


def labels_of(tasks: Sequence[str]) -> tuple[str, ...]:
    """List the classes of files that these tasks learn from and are tested on, signal first."""
    return LABELS if any(TASKS[name].needs_background for name in tasks) else LABELS[:1]


def expand_patterns(patterns: Sequence[str], where: str) -> list[Path]:
    """List the files that the patterns name, sorted, without repetition.

    Parameters
    ----------
    patterns : sequence of str
        Files, folders (their ``*.h5``) or glob patterns.
    where : str
        Place in the configuration, for the message.

    Raises
    ------
    DataError
        A pattern names no file.
    """
    found: set[Path] = set()
    for pattern in patterns:
        path = Path(pattern)
        # A name that exists is taken literally, whatever brackets it has.
        search = f"{escape(str(path))}/*.h5" if path.is_dir() else str(path)
        matches = [path] if path.is_file() else map(Path, glob(search, recursive=True))
        files = [match for match in matches if match.is_file()]
        if not files:
            reason = "no file matches this pattern" if has_magic(search) else "no such file"
            raise DataError(f"{where}: {search}: {reason}; correct the path or make the file")
        found.update(files)
    return sorted(found)


def files_of(config: RunConfig, part: str) -> dict[str, list[Path]]:
    """List the files of ``part`` (``train`` or ``test``) by label, as the tasks need them.

    Files of the background are left out where all tasks learn from the signal only.

    Raises
    ------
    DataError
        A class that the task needs has no file.
    """
    given = getattr(config.data, part)
    files = {}
    # What runs of other tasks predict is not learnt here, but tested.
    tasks = {"train": config.own_tasks, "test": config.tasks}[part]
    for label in labels_of(tasks):
        key = f"data.{part}.{label}"
        patterns = getattr(given, label)
        if not patterns:
            raise DataError(
                f"{config.locate(key)}: {key}: expected files of the class "
                f"'{getattr(config.data.classes, label)}', got none; the task "
                f"'{', '.join(tasks)}' needs them; write {key}: folder/*.dl1.h5"
            )
        files[label] = expand_patterns(patterns, f"{config.locate(key)}: {key}")
    return files
