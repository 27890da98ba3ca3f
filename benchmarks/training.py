"""How long an epoch of training takes: stock CTLearn against ours, on the same file.

``python benchmarks/training.py`` trains a very small SingleCNN for the energy on 20,000 simulated
SST-1M images, by ``ctlearn-train-model`` as it is shipped and by our stages ``prepare`` and
``train``, in turn, in one process, TensorFlow on all cores. Ours runs with a pixel cache, with the
cache but without reading ahead in the background, and without cache.

An epoch counts from its first callback to its last, with validation and what is written; the first
epoch of each training is left out, because graphs are made there. The whole time of a training
(opening, building of the cache by the first one, all epochs) stands beside it. The network is
small so that reading counts: a large one sets the pace itself, and the ratio goes to 1.

``--folder`` keeps the simulated file for the next time. The last line is ``RESULT ratio=...``:
seconds an event in stock's epochs over ours with cache.
"""

import argparse
import contextlib
import io
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from unittest.mock import patch

import keras
from ctapipe.core import run_tool
from ctlearn.tools.train_model import TrainCTLearnModel
from datasets import N_IMAGES, sst1m_file, working_folder
from machine import describe_machine
from networks import SMALL_CNN
from traitlets.config import Config

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.dl1 import loader
from cherenkov_mlops.models.ctlearn_options import base_traits
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages import prepare, train
from cherenkov_mlops.training import trainer

BATCH_SIZE = 64


class EpochClock(keras.callbacks.Callback):
    """Keeps the seconds of each epoch; to be the last callback."""

    def __init__(self):
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Stop the clock."""
        self.seconds.append(time.perf_counter() - self._started)


class TimedStock(TrainCTLearnModel):
    """``ctlearn-train-model`` with a clock."""

    def setup(self) -> None:
        """Set the tool up, with a clock."""
        super().setup()
        self.clock = EpochClock()
        self.callbacks.append(self.clock)


class TimedOurs(trainer.Trainer):
    """Our trainer with a clock."""

    last: "TimedOurs"

    def make_callbacks(self) -> None:
        """Make the callbacks, and a clock."""
        super().make_callbacks()
        self.clock = EpochClock()
        self.callbacks.append(self.clock)
        TimedOurs.last = self


@dataclass(frozen=True)
class Training:
    """One training: events an epoch (validation included), seconds of each epoch and in all."""

    n_events: int
    epochs: list[float]
    total: float


def main() -> None:
    """Train in turn, and print what was measured."""
    options = read_options()
    print(describe_machine(), end="\n\n", flush=True)
    with working_folder(options.folder) as folder:
        path = sst1m_file(folder, options.n_images)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            found = train_in_turn(path, Path(name), options)
    print_table(found)
    stock, ours = (seconds_an_event(found[name]) for name in ("stock", "cache"))
    print(f"RESULT ratio={stock / ours:.3g}")


def read_options() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="where the simulated file is made and kept")
    parser.add_argument(
        "--n-images", type=int, default=N_IMAGES, help="images of the file (stock needs 1500)"
    )
    parser.add_argument("--rounds", type=int, default=2, help="trainings of each kind")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of each training")
    return parser.parse_args()


def make_config(path: Path, options: argparse.Namespace, **data) -> RunConfig:
    """Training of the small network for the energy on the file."""
    content = {
        "run": {"name": "training", "seed": 1},
        "task": "energy",
        "data": {"train": {"signal": [str(path)]}, **data},
        "model": SMALL_CNN,
        "train": {"n_epochs": options.epochs, "batch_size": BATCH_SIZE, "lr_reducing": None},
    }
    return RunConfig.model_validate(content)


def train_in_turn(
    path: Path, folder: Path, options: argparse.Namespace
) -> dict[str, list[Training]]:
    """Trainings by kind; ours share one cache, which the first of them builds."""
    cached = make_config(path, options, cache_dir=str(folder / "cache"))
    uncached = make_config(path, options, cache=False)
    turns = {
        "stock": lambda to: train_stock(cached, path, to),
        "cache": lambda to: train_ours(cached, to),
        "not ahead": lambda to: train_ours(cached, to, n_ahead=0),
        "no cache": lambda to: train_ours(uncached, to),
    }
    found: dict[str, list[Training]] = {kind: [] for kind in turns}
    for number in range(options.rounds):
        for kind, turn in turns.items():
            # CTLearn prints a line for each epoch.
            with contextlib.redirect_stdout(io.StringIO()):
                found[kind].append(turn(folder / f"{kind.replace(' ', '_')}_{number}"))
        print(f"round {number + 1} of {options.rounds} done", flush=True)
    return found


def train_stock(config: RunConfig, path: Path, folder: Path) -> Training:
    """One training by CTLearn's tool, with the same reader, cuts and model."""
    options = {
        "input_dir_signal": str(path.parent),
        "file_pattern_signal": [path.name],
        "output_dir": str(folder),
        "reco_tasks": config.tasks,
        "n_epochs": config.train.n_epochs,
        "batch_size": BATCH_SIZE,
        "model_type": config.model.type,
        "lr_reducing": None,
    }
    traits = Config({"TrainCTLearnModel": options})
    traits.merge(base_traits(config))
    tool = TimedStock(config=traits)
    started = time.perf_counter()
    run_tool(tool, [], cwd=folder.parent, raises=True)
    total = time.perf_counter() - started
    # CTLearn leaves the last partial batches out.
    n_batches = len(tool.training_loader) + len(tool.validation_loader)
    return Training(n_batches * BATCH_SIZE, tool.clock.seconds, total)


def train_ours(config: RunConfig, folder: Path, n_ahead: int = loader.N_AHEAD) -> Training:
    """One training by our stages, reading so many batches ahead."""
    run_dir = RunDir(folder)
    started = time.perf_counter()
    ahead = patch.object(loader, "N_AHEAD", n_ahead)
    with ahead, patch.object(trainer, "Trainer", TimedOurs):
        prepare.run(config, run_dir)
        train.run(config, run_dir)
    total = time.perf_counter() - started
    ours = TimedOurs.last
    n_events = len(ours.manifest.training_rows) + len(ours.manifest.validation_rows)
    return Training(n_events, ours.clock.seconds, total)


def seconds_an_event(trainings: list[Training]) -> float:
    """Median over all epochs but the first of each training."""
    return median(
        seconds / training.n_events for training in trainings for seconds in training.epochs[1:]
    )


def print_table(found: dict[str, list[Training]]) -> None:
    """One row a kind of training."""
    row = "{:12} {:>9} {:>9} {:>9} {:>7} {:>12}"
    print("\n" + row.format("", "events", "epoch [s]", "events/s", "ratio", "in all [s]"))
    stock = seconds_an_event(found["stock"])
    for kind, trainings in found.items():
        each, n_events = seconds_an_event(trainings), trainings[0].n_events
        total = "/".join(f"{training.total:.1f}" for training in trainings)
        numbers = (f"{each * n_events:.2f}", f"{1 / each:.0f}", f"{stock / each:.2f}", total)
        print(row.format(kind, n_events, *numbers))


if __name__ == "__main__":
    main()
