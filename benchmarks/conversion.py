"""How fast, how small and how safe the way from simulation files to training files is.

``python benchmarks/conversion.py --simtel FOLDER`` needs a folder with simtel files; without the
option it looks into ``simtel`` of the folder that ``CHERENKOV_MLOPS_REAL_DATA`` names. It

- converts 8 copies of the file with the most images with ``--jobs 1`` and ``--jobs 2`` in turns;
- kills the conversion at 5 random moments with ``kill -9``, lets it complete, and compares each
  table of each output with those of a conversion that nobody killed;
- converts all files with R1 waveforms, slims them, and compares every table that is left;
- merges 1,000 small simulated files, and watches memory and open files.

Byte code is cached, as after any installation, whatever the environment says: else the import of
ctapipe takes most of the time.

The last line is ``RESULT jobs2_ratio=... slim_saved=... merge_gb=... identical=...``: the smallest
share that slimming saved, and kills whose files came out identical. The exit code is 1 if a table
differs.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median

import numpy as np
import tables
from datasets import working_folder
from machine import describe_machine, seconds_of, take_turns

from cherenkov_mlops.commands import simulate

PROGRAM = "from cherenkov_mlops.cli.app import main\nif __name__ == '__main__':\n    main()"
COMMAND = (sys.executable, "-c", PROGRAM)
ENDINGS = (".simtel.gz", ".simtel.zst", ".simtel")
FOCAL_LENGTH = ("--focal-length", "EQUIVALENT")
SAMPLED_S = 0.05


def main() -> None:
    """Measure and print."""
    options = read_options()
    files = sorted(path for path in options.simtel.iterdir() if path.name.endswith(ENDINGS))
    print(describe_machine(), end="\n\n", flush=True)
    with working_folder(options.folder) as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
        copies = copy(richest(files, folder), folder, options.copies)
        ratio = compare_jobs(copies, folder, options.rounds)
        identical = kill(copies, folder, options.kills)
        saved = slim(files, folder)
        memory = merge_many(folder, options.merged)
    print(
        f"RESULT jobs2_ratio={ratio:.2f} slim_saved={saved:.3f} merge_gb={memory:.2f} "
        f"identical={identical}/{options.kills}"
    )
    if identical != options.kills:
        sys.exit(1)


def read_options() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    real_data = os.environ.get("CHERENKOV_MLOPS_REAL_DATA", ".")
    simtel = Path(real_data) / "simtel"
    parser.add_argument("--simtel", type=Path, default=simtel, help="folder of simtel files")
    parser.add_argument("--folder", type=Path, help="where files are written, and kept")
    parser.add_argument("--copies", type=int, default=8, help="copies that are converted")
    parser.add_argument("--rounds", type=int, default=3, help="turns of one and two jobs")
    parser.add_argument("--kills", type=int, default=5, help="kills of the conversion")
    parser.add_argument("--merged", type=int, default=1000, help="small files to merge")
    return parser.parse_args()


def copy(source: Path, folder: Path, number: int) -> list[Path]:
    """Copies of the file, as so many runs would be."""
    target = folder / "copies"
    target.mkdir(exist_ok=True)
    stem, _, ending = source.name.partition(".")
    print(f"{number} copies of {source.name}, {source.stat().st_size / 1e6:.1f} MB", flush=True)
    paths = [target / f"{stem}_{n}.{ending}" for n in range(number)]
    for path in paths:
        shutil.copyfile(source, path)
    return paths


def convert(paths: Iterable[Path], output: Path, *options: str) -> None:
    """Run the command."""
    words = ["convert", *map(str, paths), "-o", str(output), *FOCAL_LENGTH, *options]
    subprocess.run([*COMMAND, *words], check=True, capture_output=True)


def richest(files: list[Path], folder: Path) -> Path:
    """The file with the most images: where reading the headers counts least, as in real files."""
    convert(files, folder / "all")  # Byte code is written here, too.
    record = json.loads((folder / "all" / "convert.json").read_text(encoding="utf-8"))["files"]
    images = {
        entry["inputs"][0]["path"]: sum(entry["facts"]["images"].values())
        for entry in record.values()
    }
    return Path(max(images, key=images.get))


def compare_jobs(copies: list[Path], folder: Path, rounds: int) -> float:
    """Time with one job over that with two."""

    def timed(jobs: int) -> float:
        output = folder / f"jobs{jobs}"
        shutil.rmtree(output, ignore_errors=True)
        return seconds_of(lambda: convert(copies, output, "--jobs", str(jobs)))

    times = take_turns({str(jobs): lambda jobs=jobs: timed(jobs) for jobs in (1, 2)}, rounds)
    for jobs, found in times.items():
        seconds = median(found)
        print(f"--jobs {jobs}: {seconds:.1f} s, {seconds / len(copies):.2f} s a file", flush=True)
    return median(times["1"]) / median(times["2"])


def kill(copies: list[Path], folder: Path, kills: int) -> int:
    """Kills after which the conversion completed to the same tables."""
    moments, identical = random.Random(1), 0
    whole = seconds_of(lambda: convert(copies, folder / "whole", "--jobs", "2"))
    for number in range(kills):
        output = folder / f"killed{number}"
        shutil.rmtree(output, ignore_errors=True)
        words = ["convert", *map(str, copies), "-o", str(output), *FOCAL_LENGTH, "--jobs", "2"]
        process = subprocess.Popen(
            [*COMMAND, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        moment = moments.uniform(0, whole)
        time.sleep(moment)
        process.kill()
        process.wait()
        left = len(list(output.glob("*.dl1.h5")))
        convert(copies, output, "--jobs", "2")
        same = all(
            equal(output / path.name, path) for path in sorted((folder / "whole").glob("*.h5"))
        )
        clean = not list(output.glob(".*.tmp*"))
        identical += same and clean
        print(f"killed after {moment:.1f} s, {left} files were whole; same: {same and clean}")
    return identical


def equal(path: Path, other: Path) -> bool:
    """Whether all tables are bit-identical."""
    mine, theirs = read_tables(path), read_tables(other)
    return mine.keys() == theirs.keys() and all(
        mine[name].tobytes() == theirs[name].tobytes() for name in mine
    )


def read_tables(path: Path) -> dict[str, np.ndarray]:
    """Path of each table -> its rows."""
    with tables.open_file(path) as file:
        return {table._v_pathname: table.read() for table in file.walk_nodes("/", "Table")}


def slim(files: list[Path], folder: Path) -> float:
    """Smallest share that was saved on files with waveforms."""
    convert(files, folder / "r1", "--waveforms")
    words = ["slim", str(folder / "r1"), "-o", str(folder / "slim")]
    subprocess.run([*COMMAND, *words], check=True, capture_output=True)
    shares = []
    for path in sorted((folder / "r1").glob("*.h5")):
        small = folder / "slim" / path.name
        before, after = path.stat().st_size, small.stat().st_size
        shares.append(1 - after / before)
        print(f"{path.name}: {before / 1e6:.1f} MB -> {after / 1e6:.1f} MB, {shares[-1]:.1%} saved")
        whole, kept = read_tables(path), read_tables(small)
        if any(kept[name].tobytes() != whole[name].tobytes() for name in kept):
            sys.exit(f"{small}: a table differs")
    return min(shares)


def merge_many(folder: Path, number: int) -> float:
    """Highest memory [GB] of merging so many files."""
    many, original = folder / "many", folder / "small.dl1.h5"
    many.mkdir(exist_ok=True)
    simulate.run(original, n_images=10, seed=1, force=True)
    for run in range(number):
        renumber(Path(shutil.copy(original, many / f"run{run:04}.dl1.h5")), run + 1)
    words = ["merge", str(many), "-o", str(folder / "merged"), "--force"]
    started = time.perf_counter()
    process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.DEVNULL)
    memory, n_open = 0.0, 0
    while process.poll() is None:
        memory, n_open = max(memory, peak_memory(process.pid)), max(n_open, count_open(process.pid))
        time.sleep(SAMPLED_S)
    if process.returncode:
        sys.exit(f"merge: ended with {process.returncode}")
    seconds = time.perf_counter() - started
    print(f"merge of {number} files: {seconds:.0f} s, {memory:.2f} GB, {n_open} open files")
    return memory


def renumber(path: Path, obs_id: int) -> None:
    """Give all rows of the file another run number."""
    with tables.open_file(path, "r+") as file:
        for table in file.walk_nodes("/", "Table"):
            rows = table.read()
            if "obs_id" in table.colnames and len(rows):
                rows["obs_id"] = obs_id
                table.modify_rows(0, rows=rows)


def peak_memory(number: int) -> float:
    """Highest resident memory of the process so far [GB]; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{number}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    peaks = [int(line.split()[1]) / 1e6 for line in lines if line.startswith("VmHWM")]
    return max(peaks, default=0.0)


def count_open(number: int) -> int:
    """Open files of the process; 0 when it has ended."""
    try:
        return len(os.listdir(f"/proc/{number}/fd"))
    except OSError:
        return 0


if __name__ == "__main__":
    main()
