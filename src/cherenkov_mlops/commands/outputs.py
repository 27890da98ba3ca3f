"""Pages of several runs that commands write where they are told to."""

import json
from collections.abc import Collection
from pathlib import Path

from cherenkov_mlops.errors import UserError


def refuse_foreign_output(output: Path, what: str, keys: Collection[str]) -> None:
    """Pass silently if the page and its numbers replace nothing but an earlier one of their kind.

    Parameters
    ----------
    output : Path
        HTML file; its numbers stand beside it, with the ending ``.json``.
    what : str
        Kind of the page, in a word.
    keys : collection of str
        What the numbers of this kind hold.

    Raises
    ------
    UserError
        The name has another ending, or something else would be replaced.
    """
    if output.suffix != ".html":
        raise UserError(f"--output {output}: expected a name that ends in .html")
    numbers = output.with_suffix(".json")
    for path in (output, numbers):
        if path.exists() and not _holds(numbers, keys):
            raise UserError(
                f"--output {output}: {path} exists and is no {what}; choose another name"
            )


def _holds(numbers: Path, keys: Collection[str]) -> bool:
    try:
        content = json.loads(numbers.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and set(keys) <= content.keys()
