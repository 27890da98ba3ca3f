"""How long the prediction of three tasks takes: stock CTLearn against ours, on the same file.

``python benchmarks/predicting.py`` makes a small SingleCNN for each of particle type, energy and
direction (weights as initialised: the time does not depend on them) and predicts 20,000 simulated
SST-1M images with them: by ``ctlearn-predict-mono-model`` with all three models; by ours with all
three models, as ``test`` does it with ``test.with_runs``; and by ours as three ``test`` commands do
it, one task each. They take turns in one process, TensorFlow on all cores; medians are printed, and
the first turn, in which functions are compiled, beside them. Everything from the opening of the
file to the complete DL2 file is counted, imports are not.

All DL2 columns are compared. CTLearn's scores of the last incomplete batch are 0.0, which is wrong;
they are counted and left out, and so are the combinations of telescopes made from them.

``--folder`` keeps the simulated file for the next time. The last line is ``RESULT ratio=...``:
seconds of stock over ours for the same DL2 file, with all three tasks.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

import keras
import numpy as np
import tables
from astropy.table import Table
from ctapipe.core import run_tool
from ctapipe.io import read_table
from ctlearn.tools.predict_model import MonoPredictCTLearnModel
from datasets import N_IMAGES, sst1m_file, working_folder
from machine import describe_machine, seconds_of, take_turns
from networks import SMALL_CNN
from traitlets.config import Config

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.inputs import inspect_inputs
from cherenkov_mlops.dl1.reader import CuredImageReader
from cherenkov_mlops.models.ctlearn_options import base_traits
from cherenkov_mlops.models.keras_model import KerasModel, build_model
from cherenkov_mlops.prediction.predictor import predict_file

TASKS = ("type", "energy", "cameradirection")
BATCH_SIZE = 64
TOLERANCE = 1e-6
#: Left out of DL2 by both, as our stage ``test`` does.
NOT_COPIED = dict.fromkeys(("dl1_images", "true_images", "r0_waveforms", "r1_waveforms"), False)
SCORE = "CTLearnClassifier_tel_prediction"


def main() -> None:
    """Measure, compare, and print both."""
    options = read_options()
    print(describe_machine(), end="\n\n", flush=True)
    with working_folder(options.folder) as folder:
        source = sst1m_file(folder, options.n_images)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            study = Study(source, Path(name))
            seconds = study.measure(options.rounds)
            print_comparison(study)
    print(f"\n{study.n_events} events, three tasks, medians of {options.rounds} rounds")
    medians = {kind: median(values[1:]) for kind, values in seconds.items()}
    for kind, value in medians.items():
        print(
            f"{kind:10} {value:7.1f} s {study.n_events / value:7.0f} events/s, "
            f"stock / this {medians['stock'] / value:5.2f}; first turn {seconds[kind][0]:.1f} s"
        )
    ratios = {kind: medians["stock"] / value for kind, value in medians.items()}
    print(f"RESULT ratio={ratios['one pass']:.3g} three_jobs={ratios['three jobs']:.3g}")


def read_options() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="where the simulated file is made and kept")
    parser.add_argument("--n-images", type=int, default=N_IMAGES, help="images of the file")
    parser.add_argument("--rounds", type=int, default=3, help="turns of which medians are taken")
    return parser.parse_args()


class Study:
    """Models for the three tasks, and the ways to predict a file with them.

    Parameters
    ----------
    source : Path
        DL1 file.
    folder : Path
        Where models and DL2 files go.
    """

    def __init__(self, source: Path, folder: Path):
        self.source, self.folder = source, folder
        self.configs = {task: make_config(task, source) for task in TASKS}
        self.models = {task: folder / f"{task}.keras" for task in TASKS}
        reader = CuredImageReader(
            input_url_signal=[source], config=base_traits(self.configs["energy"])
        )
        self.n_events = reader.get_n_events()
        self.inputs = inspect_inputs(self.configs["energy"], "test")
        for task, path in self.models.items():
            build_model(self.configs[task], reader.input_shape).save(path)
        reader.close_files()

    def measure(self, rounds: int) -> dict[str, list[float]]:
        """Seconds of each way, the first turn before those of the rounds."""
        ways = {
            "stock": self.predict_by_stock,
            "one pass": self.predict_in_one_pass,
            "three jobs": lambda: [self.predict_task(task) for task in TASKS],
        }
        return take_turns({k: lambda way=way: timed(way) for k, way in ways.items()}, 1 + rounds)

    def output(self, name: str) -> Path:
        """DL2 file of one way."""
        return self.folder / f"{name}.dl2.h5"

    def predict_by_stock(self) -> None:
        """DL2 file by CTLearn's tool."""
        options = {
            "input_url": str(self.source),
            "output_path": str(self.output("stock")),
            "batch_size": BATCH_SIZE,
            "keras_verbose": 0,
        }
        options |= {f"load_{task}_model_from": str(path) for task, path in self.models.items()}
        traits = Config({"PredictCTLearnModel": options, "HDF5Merger": NOT_COPIED})
        traits.HDF5Merger.overwrite = True
        traits.merge(base_traits(self.configs["energy"]))
        tool = MonoPredictCTLearnModel(config=traits)
        run_tool(tool, ["--log-level=ERROR"], cwd=self.folder, raises=True)

    def predict_task(self, task: str) -> None:
        """DL2 file of one task, as ``test`` alone makes it."""
        self._predict(task, task)

    def predict_in_one_pass(self) -> None:
        """DL2 file of all tasks, as ``test`` with ``test.with_runs`` makes it."""
        self._predict("one_pass", *TASKS)

    def _predict(self, name: str, *tasks: str) -> None:
        models = [KerasModel(self.configs[task], self.models[task]) for task in tasks]
        config = self.configs[tasks[0]]
        predict_file(config, models, self.inputs, self.output(name))


def make_config(task: str, source: Path) -> RunConfig:
    """Configuration of a run with the small network."""
    content = {
        "run": {"name": task},
        "task": task,
        "data": {"train": {"signal": [str(source)]}, "test": {"signal": [str(source)]}},
        "model": SMALL_CNN,
        "test": {"batch_size": BATCH_SIZE},
    }
    if task == "type":
        content["data"]["train"]["background"] = [str(source)]
    return RunConfig.model_validate(content)


def timed(way) -> float:
    """Seconds of one prediction; what Keras keeps of it is dropped afterwards."""
    seconds = seconds_of(way)
    keras.backend.clear_session()
    return seconds


def print_comparison(study: Study) -> None:
    """Largest relative difference from stock by task; ends with an error if one is too large."""
    one_pass = read_predictions(study.output("one_pass"))
    for task in TASKS:
        found, n_zero, n_compared = 0.0, 0, 0
        stock = read_predictions(study.output("stock"))
        for name, table in read_predictions(study.output(task)).items():
            wrong = is_wrong(stock[name])
            n_zero += int(wrong.sum())
            if not stands_alone(name, stock):
                continue
            n_compared += len(table)
            for other in (table, one_pass[name]):
                found = max(found, difference(stock[name][~wrong], other[~wrong]))
        zeros = f"; {n_zero} scores of stock are 0.0, which is wrong" if n_zero else ""
        print(f"{task}: {n_compared} rows, largest difference from stock {found:.1e}{zeros}")
        if found > TOLERANCE:
            sys.exit(f"{task}: expected differences of at most {TOLERANCE:g}")


def read_predictions(path: Path) -> dict[str, Table]:
    """All tables below ``/dl2/event``, by name."""
    with tables.open_file(path) as file:
        names = [node._v_pathname for node in file.walk_nodes("/dl2/event", "Table")]
    return {name: read_table(path, name) for name in names if "statistics" not in name}


def is_wrong(table: Table) -> np.ndarray:
    """Mask of the scores that CTLearn did not compute."""
    if SCORE not in table.colnames:
        return np.zeros(len(table), dtype=bool)
    return np.asarray(table[SCORE]) == 0


def stands_alone(name: str, stock: dict[str, Table]) -> bool:
    """Whether the table is not made from scores of which some are wrong."""
    return not (name.startswith("/dl2/event/subarray") and "CTLearnClassifier" in name)


def difference(expected: Table, got: Table) -> float:
    """Largest relative difference (absolute below 1) of all columns; infinite if they differ."""
    if expected.colnames != got.colnames:
        return np.inf
    largest = 0.0
    for name in expected.colnames:
        a, b = np.asarray(expected[name]), np.asarray(got[name])
        if a.dtype.kind != "f":
            largest = largest if np.array_equal(a, b) else np.inf
        elif not np.array_equal(np.isnan(a), np.isnan(b)):
            return np.inf
        else:
            gap = np.abs(a - b) / np.maximum(np.abs(a), 1)
            largest = max(largest, float(np.nanmax(gap, initial=0)))
    return largest


if __name__ == "__main__":
    main()
