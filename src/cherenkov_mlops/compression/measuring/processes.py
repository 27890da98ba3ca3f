"""Measurements in new processes: nothing that is loaded already counts, nor threads there are.

Not a pool of workers, as elsewhere: a peak of memory is that of a process that did one thing.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cherenkov_mlops.errors import UserError


def measure_apart(module: str, request: dict[str, Any], *, one_core: bool) -> Any:
    """Ask the module, in a process of its own, for its answer to the request.

    Parameters
    ----------
    module : str
        Dotted name of a module whose ``main`` is ``answer(...)``.
    request : dict
        Plain types, for JSON.
    one_core : bool
        Whether the process has one processor, or all that this one has.

    Raises
    ------
    UserError
        The process ended without an answer; its last line is told.
    """
    # By a file: TensorFlow and others write to the standard output what they like.
    with tempfile.TemporaryDirectory() as name:
        output = Path(name) / "answer.json"
        # Processors of this thread are those of a process that it starts.
        before = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, {max(before)} if one_core else before)
            done = subprocess.run(
                [sys.executable, "-m", module, json.dumps(request), str(output)],
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            os.sched_setaffinity(0, before)
        if not output.is_file():
            lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
            raise UserError(f"measuring in a process of its own failed: {lines[-1].strip()}")
        answer = json.loads(output.read_text(encoding="utf-8"))
    if "error" in answer:
        raise UserError(answer["error"])
    return answer["found"]


def answer(action: Callable[..., Any]) -> None:
    """Answer the request of ``measure_apart`` on the command line by the action's result."""
    request, output = json.loads(sys.argv[1]), Path(sys.argv[2])
    try:
        content = {"found": action(**request)}
    except UserError as error:
        content = {"error": str(error)}
    output.write_text(json.dumps(content), encoding="utf-8")
