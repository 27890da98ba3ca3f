"""How long ``prepare`` looks at many small files, how often it opens and how often it hashes each.

``python benchmarks/preparing.py`` copies one simulated SST-1M file of 20 images 300 times, under
run numbers of their own, and measures on one core what ``prepare`` does with data: checks, split
and counts, findings, and the description for the page; no network is built. Files are in the page
cache. A second turn says what it takes when nothing has changed since.

The last line is ``RESULT files=... opens=... seconds_a_file=... hashes=...``: openings of a file
(by PyTables, h5py or plainly, the hash among them) and hashes, the largest of all files.
"""

import argparse
import builtins
import hashlib
import io
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import h5py
import numpy as np
import tables
from datasets import working_folder
from machine import describe_machine, use_one_core

from cherenkov_mlops.commands import simulate
from cherenkov_mlops.config.load import load_config
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data import file_look
from cherenkov_mlops.data.checks import with_findings
from cherenkov_mlops.data.description import describe_data
from cherenkov_mlops.data.inputs import inspect_inputs
from cherenkov_mlops.dl1.preparation import prepare_data

STUDY = """
run: {{name: preparing, dir: {folder}/runs, seed: 1}}
task: energy
data: {{train: {{signal: {folder}/many}}, image_mapper_type: ShiftingMapper}}
model: {{type: SingleCNN}}
"""


def main() -> None:
    """Make the files, and say what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where files are made and kept")
    parser.add_argument("--n-files", type=int, default=300)
    options = parser.parse_args()
    print(describe_machine())
    print(f"all on core {use_one_core()}", flush=True)
    with working_folder(options.folder) as folder:
        make_files(folder, options.n_files)
        (folder / "study.yaml").write_text(STUDY.format(folder=folder))
        config = load_config(folder / "study.yaml")
        shutil.rmtree(folder / "checked", ignore_errors=True)
        with patch.object(file_look, "_cache_folder", lambda: folder / "checked"):
            first = seconds_of_prepare(config)
            again = seconds_of_prepare(config)
            shutil.rmtree(folder / "checked")
            with counting() as (opens, hashes):
                seconds_of_prepare(config)
    ours = [str(path) for path in (folder / "many").glob("*.h5")] or list(opens)
    n_opens = max(n for name, n in opens.items() if name in ours)
    print(f"{options.n_files} files: {first:.1f} s; unchanged since: {again:.1f} s")
    print(
        f"RESULT files={options.n_files} opens={n_opens} "
        f"seconds_a_file={first / options.n_files:.4f} hashes={max(hashes.values())}"
    )


def make_files(folder: Path, n_files: int) -> None:
    """Copies of one file, each with a run number and energies of its own."""
    many = folder / "many"
    many.mkdir(exist_ok=True)
    source = folder / "source.dl1.h5"
    if not source.exists():
        simulate.run(source, n_images=20, seed=1, obs_id=1)
    for number in range(1, n_files + 1):
        path = many / f"{number:04d}.dl1.h5"
        if path.exists():
            continue
        shutil.copyfile(source, path)
        with tables.open_file(path, "r+") as file:
            for table in file.walk_nodes("/", "Table"):
                if "obs_id" in table.colnames:
                    table.modify_column(column=np.full(len(table), number), colname="obs_id")
                    table.flush()


def seconds_of_prepare(config: RunConfig) -> float:
    """Seconds for all that ``prepare`` does with the files."""
    started = time.perf_counter()
    inputs = inspect_inputs(config, "train")
    manifest = with_findings(config, prepare_data(config, inputs, (0.1, 1.0, 100.0)))
    describe_data(config, inputs, manifest.classes, manifest.counts, manifest.findings)
    return time.perf_counter() - started


@contextmanager
def counting() -> Iterator[tuple[Counter[str], Counter[str]]]:
    """Openings and hashes by name of the file, in this process."""
    opens: Counter[str] = Counter()
    hashes: Counter[str] = Counter()

    def noting(original: Any, counter: Counter[str], name_of: Any = str) -> Any:
        def call(first: Any, *arguments: Any, **options: Any) -> Any:
            counter[name_of(first)] += 1
            return original(first, *arguments, **options)

        return call

    with ExitStack() as stack:
        for owner, name in ((tables, "open_file"), (builtins, "open"), (io, "open")):
            stack.enter_context(patch.object(owner, name, noting(getattr(owner, name), opens)))
        # ctapipe has names of its own for PyTables' function.
        stack.enter_context(
            patch.object(tables.file, "open_file", noting(tables.file.open_file, opens))
        )
        original = h5py.File.__init__

        def note_h5py(self: Any, name: Any, *arguments: Any, **options: Any) -> None:
            opens[str(name)] += 1
            original(self, name, *arguments, **options)

        stack.enter_context(patch.object(h5py.File, "__init__", note_h5py))
        stack.enter_context(
            patch.object(
                hashlib,
                "file_digest",
                noting(hashlib.file_digest, hashes, lambda stream: str(stream.name)),
            )
        )
        yield opens, hashes


if __name__ == "__main__":
    main()
