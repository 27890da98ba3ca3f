"""How much memory the training on a million images takes.

``python benchmarks/memory.py --folder BIG`` copies a file of 20,000 simulated SST-1M images 50
times, each with a run number of its own (10 GB), and lets ``cherenkov-mlops prepare`` and ``train``
loose on them, with a pixel cache of all images that pass the cuts (no cut by default: 10 GB). A few
hundred batches an epoch are drawn, so that the training ends in minutes.

What counts is memory of our own: ``RssAnon`` of ``/proc/PID/status``, sampled ten times a second.
Pages of the mapped cache are the kernel's file cache; it takes them back when others need room.
They stand beside it (``RssFile``, which also holds the shared libraries), and so does the highest
resident memory of all kinds (``VmHWM``).

The last line is ``RESULT images=... own_gb=...``, the larger of the two commands.
"""

import argparse
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import tables
from datasets import N_IMAGES, sst1m_file, working_folder
from machine import describe_machine
from networks import SMALL_CNN

from cherenkov_mlops.config.text import to_yaml

SAMPLED_S = 0.1
WATCHED = ("RssAnon", "RssFile", "VmHWM")


@dataclass
class Peak:
    """Highest values of a process [GB], and its seconds."""

    values: dict[str, float]
    seconds: float


def main() -> None:
    """Make the files, run the commands, print their memory."""
    options = read_options()
    print(describe_machine(), end="\n\n", flush=True)
    with working_folder(options.folder) as folder:
        files = make_copies(folder, options)
        n_images = sum(count_images(path) for path in files)
        size = sum(path.stat().st_size for path in files)
        print(f"{len(files)} files, {n_images} images, {size / 1e9:.1f} GB", flush=True)
        study = write_study(folder, files[0].parent, options)
        peaks = {stage: watch(stage, study) for stage in ("prepare", "train")}
        cached = sum(path.stat().st_size for path in (folder / "cache").rglob("*.npy"))
        print(f"pixel cache: {cached / 1e9:.1f} GB")
        if not options.keep:
            shutil.rmtree(folder / "cache")
            shutil.rmtree(files[0].parent)
    print(f"RESULT images={n_images} own_gb={max(p.values['RssAnon'] for p in peaks.values()):.2f}")


def read_options() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="where 20 GB can be written")
    parser.add_argument("--n-images", type=int, default=N_IMAGES, help="images of each file")
    parser.add_argument("--copies", type=int, default=50, help="number of files")
    parser.add_argument("--percentage", type=float, default=0.02, help="percentage_per_epoch")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of the training")
    parser.add_argument("--keep", action="store_true", help="keep the copies and the cache")
    return parser.parse_args()


def make_copies(folder: Path, options: argparse.Namespace) -> list[Path]:
    """The files of the study; those that are there already are not made again."""
    original = sst1m_file(folder, options.n_images)
    copies = folder / f"copies_{options.n_images}"
    copies.mkdir(exist_ok=True)
    paths = [copies / f"run_{number:03}.dl1.h5" for number in range(1, options.copies + 1)]
    for number, path in enumerate(paths, start=1):
        if not path.exists():
            partial = path.with_suffix(".partial")
            shutil.copyfile(original, partial)
            renumber(partial, number)
            partial.rename(path)
    return paths


def renumber(path: Path, obs_id: int) -> None:
    """Give all events of the file another run number: no event may be in two files."""
    with tables.open_file(path, "r+") as file:
        for table in file.walk_nodes("/", "Table"):
            if "obs_id" in table.colnames:
                column = table.col("obs_id")
                column[:] = obs_id
                table.modify_column(colname="obs_id", column=column)


def count_images(path: Path) -> int:
    """Telescope images in the file."""
    with tables.open_file(path) as file:
        return sum(len(t) for t in file.iter_nodes("/dl1/event/telescope/images", "Table"))


def write_study(folder: Path, copies: Path, options: argparse.Namespace) -> Path:
    """Configuration of a training on all copies."""
    shutil.rmtree(folder / "runs", ignore_errors=True)
    content = {
        "run": {"name": "million", "dir": str(folder / "runs")},
        "task": "energy",
        "data": {
            "train": {"signal": [str(copies)]},
            "quality_criteria": [],
            "cache_dir": str(folder / "cache"),
        },
        "model": SMALL_CNN,
        "train": {"n_epochs": options.epochs, "validation_split": 0.01},
        "sampling": {"percentage_per_epoch": options.percentage},
    }
    path = folder / "million.yaml"
    path.write_text(to_yaml(content), encoding="utf-8")
    return path


def watch(stage: str, study: Path) -> Peak:
    """Highest memory of one command; printed."""
    command = [str(Path(sys.executable).with_name("cherenkov-mlops")), stage, str(study)]
    started = time.perf_counter()
    process = subprocess.Popen(command)
    values = dict.fromkeys(WATCHED, 0.0)
    while process.poll() is None:
        for name, value in read_status(process.pid).items():
            values[name] = max(values[name], value)
        time.sleep(SAMPLED_S)
    peak = Peak(values, time.perf_counter() - started)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: ended with {process.returncode}")
    described = ", ".join(f"{name} {value:.2f} GB" for name, value in values.items())
    print(f"{stage}: {described}, {peak.seconds:.0f} s", flush=True)
    return peak


def read_status(pid: int) -> dict[str, float]:
    """Memory of a process now [GB]; empty once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    pairs = (line.split(":") for line in lines if ":" in line)
    return {name: int(text.split()[0]) * 1024 / 1e9 for name, text in pairs if name in WATCHED}


if __name__ == "__main__":
    main()
