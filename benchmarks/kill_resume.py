"""Runs that are killed again and again, and what becomes of them.

``python benchmarks/kill_resume.py`` kills ``cherenkov-mlops run`` 25 times with ``kill -9`` and
gives the same command again, until the run ends by itself. The kills fall

- into the building of the pixel cache, the saving of the model, the writing of the training's
  state and of a JSON file: the run folder is watched, and the process is killed the moment a
  temporary file of that kind appears;
- into an epoch: at a random time after the state of another epoch was written;
- at any time: random over the duration of a whole run.

A run gets up to three kills, of different kinds in random order: those that come later hit a run
that was resumed already. After each kill every file under a final name is read (JSON, YAML, CSV,
Keras, NumPy, HDF5). When the run has ended, all weights and optimizer states of the trained model
and the history of the training are compared bit by bit with those of a run that nobody killed. The
network has dropout, each epoch draws half of the batches afresh, and the model of the last epoch
is kept, for that shows every difference.

The last line is ``RESULT kills=<n> identical=<kills of runs that ended identically>``. The exit
code is 1 unless the two are equal and no file was ever found damaged.
"""

import argparse
import csv
import io
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import tables
import yaml

import cherenkov_mlops.models.template
from cherenkov_mlops.commands import simulate
from cherenkov_mlops.run_dir import RunDir

COMMAND = (sys.executable, "-c", "from cherenkov_mlops.cli.app import main; main()", "run")
TIMING = ("seconds", "events_per_s")
KILLS_A_RUN = 3
#: A temporary file of this name, in this folder of the run, is being written.
WRITING = {
    "cache": ("cache", re.compile(r"^\.\w+\.\d+\.tmp$")),
    "model": ("train", re.compile(r"^\.ctlearn_model\.\d+\.tmp\.keras$")),
    "state": ("train/backup", re.compile(r"^\.state\.\d+\.tmp\.npz$")),
    "json": (".", re.compile(r"^\.run\.\d+\.tmp\.json$")),
}
KINDS = (*WRITING, "epoch", "any")


@dataclass
class Killer:
    """Kills one process at one moment.

    Parameters
    ----------
    kind : str
        One of ``KINDS``.
    run_dir : RunDir
        Folder of the run.
    draw : random.Random
        Random numbers.
    duration_s : float
        Time that a whole run takes.
    """

    kind: str
    run_dir: RunDir
    draw: random.Random
    duration_s: float

    def __call__(self, process: subprocess.Popen) -> bool:
        """Whether the process was killed; False if it ended before its moment came."""
        come = self._time_has_come() if self.kind == "any" else self._write_is_seen()
        while process.poll() is None:
            if next(come):
                process.send_signal(signal.SIGKILL)
                process.wait()
                return process.returncode == -signal.SIGKILL
        return False

    def _time_has_come(self) -> Iterator[bool]:
        end = time.monotonic() + self.draw.uniform(0, self.duration_s)
        while time.monotonic() < end:
            time.sleep(0.001)
            yield False
        yield True

    def _write_is_seen(self) -> Iterator[bool]:
        """True in the middle of one of the first writes, or a little after it."""
        folder, name = WRITING["state" if self.kind == "epoch" else self.kind]
        n_left = self.draw.randint(1, 2 if self.kind == "cache" else 4)
        was_there = False
        while True:
            is_there = any(name.match(entry) for entry in list_names(self.run_dir.path / folder))
            n_left -= is_there and not was_there
            was_there = is_there
            if not n_left:
                break
            yield False
        if self.kind == "epoch":
            time.sleep(self.draw.uniform(0.02, 0.4))
        yield True


def list_names(folder: Path) -> list[str]:
    """Names in the folder; none if it is not there, or is being moved."""
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []


@dataclass
class Outcome:
    """What became of the runs.

    Parameters
    ----------
    kills : Counter
        Kills by kind.
    n_caught : int
        Kills that left a temporary file behind: they hit a write.
    n_identical : int
        Kills of runs that ended with the result of the uninterrupted one.
    damaged : list of str
        Files that were found damaged, and differences that were found.
    """

    kills: Counter = field(default_factory=Counter)
    n_caught: int = 0
    n_identical: int = 0
    damaged: list[str] = field(default_factory=list)


def write_study(folder: Path, n_images: int, n_epochs: int) -> Path:
    """A YAML file of a small run, and its simulated files."""
    for seed, name in enumerate(("gamma_train", "proton_train", "gamma_test", "proton_test")):
        path = folder / f"{name}.dl1.h5"
        if not path.exists():
            n = n_images if name.endswith("train") else n_images // 4
            simulate.run(path, particle=name.partition("_")[0], n_images=n, seed=200 + seed)
    template = Path(cherenkov_mlops.models.template.__file__)
    content = {
        "run": {"name": "whole", "dir": "runs", "seed": 5},
        "task": "type",
        "data": {
            part: {"signal": f"gamma_{part}.dl1.h5", "background": f"proton_{part}.dl1.h5"}
            for part in ("train", "test")
        }
        | {"image_mapper_type": "ShiftingMapper"},
        "model": {
            "type": "custom",
            "file": str(template),
            "class": "TemplateModel",
            "options": {"filters": [8, 16], "dropout": 0.3},
        },
        "train": {
            "n_epochs": n_epochs,
            "batch_size": 32,
            "save_best_validation_only": False,
            "lr_reducing": {"factor": 0.5, "patience": 1, "min_delta": 0.0, "min_lr": 1e-6},
        },
        "sampling": {"percentage_per_epoch": 0.5},
        "test": {"energy_min_tev": 1, "energy_max_tev": 100, "n_bootstrap": 5},
    }
    study = folder / "study.yaml"
    study.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return study


def start(study: Path, name: str) -> subprocess.Popen:
    """The program, at work on the run of that name."""
    return subprocess.Popen(
        [*COMMAND, study, "-o", f"run.name={name}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(study: Path, name: str) -> None:
    """Let the run of that name go to its end."""
    process = start(study, name)
    errors = process.communicate()[1]
    if process.returncode:
        raise SystemExit(f"{name}: the command ended with {process.returncode}: {errors}")


def find_temporary(folder: Path) -> set[Path]:
    """Temporary files and folders that lie there."""
    return {path for path in folder.rglob(".*") if ".tmp" in path.name}


def find_damaged(folder: Path) -> list[str]:
    """Files under a final name that cannot be read as what they are."""
    found = []
    for path in sorted(folder.rglob("*")):
        read = READERS.get(path.suffix)
        parts = path.relative_to(folder).parts
        # Names with a leading dot are temporary, and so is what is below them. Logs only grow.
        if read is None or parts[0] == "logs" or any(part.startswith(".") for part in parts):
            continue
        try:
            read(path)
        except Exception as error:  # noqa: BLE001 - whatever it is, the file is damaged.
            found.append(f"{path}: {type(error).__name__}: {error}")
    return found


def read_csv(path: Path) -> None:
    """Pass if all rows of the table are complete."""
    with path.open(newline="", encoding="utf-8") as stream:
        lengths = {len(row) for row in csv.reader(stream)}
    if len(lengths) != 1:
        raise ValueError(f"rows of different lengths {lengths}")


def read_zip(path: Path) -> None:
    """Pass if the sums of all entries agree."""
    with zipfile.ZipFile(path) as content:
        if content.testzip():
            raise ValueError("an entry is damaged")


def read_hdf5(path: Path) -> None:
    """Pass if all tables can be read."""
    with tables.open_file(path) as file:
        for table in file.walk_nodes("/", "Table"):
            table.read()


READERS: dict[str, Callable[[Path], object]] = {
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".yaml": lambda path: yaml.safe_load(path.read_text(encoding="utf-8")),
    ".csv": read_csv,
    ".keras": read_zip,
    ".npz": read_zip,
    ".npy": lambda path: np.load(path, mmap_mode="r"),
    ".h5": read_hdf5,
}


def read_result(run_dir: RunDir) -> dict[str, bytes]:
    """Every value of the trained model with its optimizer, and of the history but for times."""
    found = {}
    with (
        zipfile.ZipFile(run_dir.trained_model) as model,
        h5py.File(io.BytesIO(model.read("model.weights.h5"))) as weights,
    ):

        def keep(name: str, node: h5py.Dataset | h5py.Group) -> None:
            if isinstance(node, h5py.Dataset):
                found[name] = node[()].tobytes()

        weights.visititems(keep)
    with run_dir.history.open(newline="", encoding="utf-8") as stream:
        for number, row in enumerate(csv.DictReader(stream)):
            values = {key: value for key, value in row.items() if key not in TIMING}
            found[f"epoch {number}"] = json.dumps(values).encode()
    return found


def kill_run(
    study: Path, name: str, kinds: list[str], draw: random.Random, duration_s: float, seen: Outcome
) -> int:
    """Number of times the run was killed; it has ended by itself afterwards."""
    run_dir = RunDir(study.parent / "runs" / name)
    n_kills = 0
    for kind in kinds:
        before = find_temporary(run_dir.path)
        process = start(study, name)
        killed = Killer(kind, run_dir, draw, duration_s)(process)
        process.stderr.close()
        if not killed:
            if process.returncode:
                raise SystemExit(f"{name}: the command ended with {process.returncode}")
            return n_kills
        n_kills += 1
        seen.kills[kind] += 1
        left = sorted(find_temporary(run_dir.path) - before)
        seen.n_caught += bool(left)
        seen.damaged += find_damaged(run_dir.path)
        at = f"{left[0].name} left" if left else "between two writes"
        print(f"{name}: killed ({kind}), {at}", flush=True)
    finish(study, name)
    return n_kills


def kill_and_resume(study: Path, n_kills: int, seed: int) -> Outcome:
    """What became of ``n_kills`` kills."""
    draw = random.Random(seed)
    started = time.monotonic()
    finish(study, "whole")
    duration_s = time.monotonic() - started
    whole = read_result(RunDir(study.parent / "runs" / "whole"))
    print(f"a whole run takes {duration_s:.0f} s", flush=True)
    outcome = Outcome()
    waiting: list[str] = []
    number = 0
    while (n_left := n_kills - outcome.kills.total()) > 0:
        # Each kind comes as often as any other.
        if len(waiting) < KILLS_A_RUN:
            waiting += draw.sample(KINDS, len(KINDS))
        n_now = min(KILLS_A_RUN, n_left)
        # A cache is built once only, at the first attempt.
        kinds = sorted(waiting[:n_now], key=lambda kind: kind != "cache")
        waiting = waiting[n_now:]
        number += 1
        name = f"killed{number}"
        n_killed = kill_run(study, name, kinds, draw, duration_s, outcome)
        run_dir = RunDir(study.parent / "runs" / name)
        outcome.damaged += find_damaged(run_dir.path)
        if read_result(run_dir) == whole:
            outcome.n_identical += n_killed
        else:
            outcome.damaged.append(f"{name}: ended with another result")
    return outcome


def main() -> None:
    """Print what became of the kills."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--n-images", type=int, default=2000, help="images of each training file")
    parser.add_argument("--n-epochs", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill-resume-") as folder:
        study = write_study(Path(folder), options.n_images, options.n_epochs)
        outcome = kill_and_resume(study, options.kills, options.seed)
    by_kind = ", ".join(f"{n} {kind}" for kind, n in outcome.kills.items())
    print(f"kills: {by_kind}; {outcome.n_caught} of them left a temporary file")
    print("\n".join(outcome.damaged) or "no file under a final name was damaged")
    n_kills = outcome.kills.total()
    print(f"RESULT kills={n_kills} identical={outcome.n_identical}")
    if outcome.damaged or outcome.n_identical != n_kills:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
