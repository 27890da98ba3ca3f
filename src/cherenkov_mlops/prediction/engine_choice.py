"""The engine that ``test`` predicts with: exported once, compared with Keras, timed."""

import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import tensorflow as tf

from cherenkov_mlops.compression.export import export_model
from cherenkov_mlops.compression.export.calibration import draw_test_images
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.inputs import Inputs
from cherenkov_mlops.dl1.examples import NoEventsError
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.forms import EXACT_FORMS, FORMS, parts_of
from cherenkov_mlops.models.builder import load_model_file
from cherenkov_mlops.models.networks import Network, load_network, only_values
from cherenkov_mlops.run_dir import RunDir

log = logging.getLogger(__name__)

#: Largest absolute difference of an output from Keras' with which ``auto`` takes an engine.
TOLERANCE = 1e-5
#: Test images that engines are compared and timed with, at most.
N_IMAGES = 256
ROUNDS = 3


@dataclass(frozen=True)
class Candidate:
    """An engine with the models of a test.

    Parameters
    ----------
    engine : str
        Its name.
    models : dict of str to Path
        Task -> file that it predicts with.
    rate_hz : float
        Images a second through all models.
    difference : float
        Largest absolute difference of an output from Keras'.
    """

    engine: str
    models: dict[str, Path]
    rate_hz: float = np.nan
    difference: float = 0.0


def choose_engine(
    config: RunConfig, models: dict[str, Path], inputs: Inputs, run_dir: RunDir
) -> Candidate:
    """The engine of ``test.engine`` with the models in its form, kept in the run's ``engines/``.

    ``auto`` takes the fastest of those that are installed and whose outputs for test images are
    those of Keras within ``TOLERANCE``.

    Parameters
    ----------
    config : RunConfig
        The run.
    models : dict of str to Path
        Task -> trained model, or export.
    inputs : Inputs
        Files to be predicted.
    run_dir : RunDir
        Its folder.

    Raises
    ------
    UserError
        The engine is not installed, or cannot have a model.
    """
    wanted = config.test.engine
    if wanted == "keras":
        form = config.export.format if config.export else "packed"
        return Candidate(FORMS[form].engine, models)
    bench = _Bench(_read_some_images(config, inputs), config.test.batch_size, models)
    if wanted != "auto":
        chosen = bench.try_engine(wanted, run_dir)
        if chosen.difference > TOLERANCE:
            log.warning(
                "test: %s differs from Keras by up to %.2g, more than %g",
                wanted,
                chosen.difference,
                TOLERANCE,
            )
        return chosen
    fit = [bench.keras]
    for engine in EXACT_FORMS:
        try:
            candidate = bench.try_engine(engine, run_dir)
        except UserError as error:
            log.info("test: engine %s is passed over: %s", engine, error)
            continue
        if candidate.difference <= TOLERANCE:
            fit.append(candidate)
        else:
            log.info("test: engine %s is passed over: differs by more than %g", engine, TOLERANCE)
    chosen = max(fit, key=lambda candidate: candidate.rate_hz)
    log.info("test: predicting with %s, the fastest of %d engines", chosen.engine, len(fit))
    return chosen


class _Bench:
    """Images, and what Keras makes of them and how fast."""

    def __init__(self, images: np.ndarray, batch_size: int, models: dict[str, Path]):
        self.batches = [images[at : at + batch_size] for at in range(0, len(images), batch_size)]
        self.models = models
        networks = {task: load_network(path) for task, path in models.items()}
        self.expected = self._predict(networks)
        self.keras = Candidate("keras", models, self._measure(networks))
        log.info("test: engine keras: %.0f images/s", self.keras.rate_hz)

    def try_engine(self, engine: str, run_dir: RunDir) -> Candidate:
        """The engine with its rate and its difference, which are logged."""
        images = self.batches[0][:1]
        paths = {
            task: _export_once(path, task, engine, run_dir, images)
            for task, path in self.models.items()
        }
        networks = {task: load_network(path) for task, path in paths.items()}
        got = self._predict(networks)
        gaps = [float(np.abs(got[task] - self.expected[task]).max()) for task in got]
        # A comparison with NaN is never true: such an engine is never near enough.
        difference = max(gaps) if np.isfinite(gaps).all() else np.inf
        found = Candidate(engine, paths, self._measure(networks), difference)
        log.info(
            "test: engine %s: %.0f images/s, largest difference from Keras %.2g (%d images)",
            engine,
            found.rate_hz,
            found.difference,
            sum(map(len, self.batches)),
        )
        return found

    def _predict(self, networks: Mapping[str, Network]) -> dict[str, np.ndarray]:
        return {
            task: np.concatenate([only_values(network(as_tensor(b))) for b in self.batches])
            for task, network in networks.items()
        }

    def _measure(self, networks: Mapping[str, Network]) -> float:
        """Images a second, median of some rounds."""
        seconds = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            self._predict(networks)
            seconds.append(time.perf_counter() - started)
        return sum(map(len, self.batches)) / median(seconds)


def as_tensor(images: np.ndarray) -> tf.Tensor:
    """The images as the prediction gives them to a network."""
    return tf.convert_to_tensor(images, dtype=tf.float32)


def _read_some_images(config: RunConfig, inputs: Inputs) -> np.ndarray:
    """Images of the first file that has any after the cuts."""
    for label, files in inputs.files.items():
        for file in files:
            try:
                return draw_test_images(config, _only(inputs, label, file), N_IMAGES)
            except NoEventsError:
                continue
    raise NoEventsError("test: no event of the test files is left after the cuts")


def _only(inputs: Inputs, label: str, file: object) -> Inputs:
    """One file; as signal, for a reader needs some."""
    return Inputs({"signal": [file]}, inputs.telescopes, inputs.camera, inputs.idle)


def _export_once(model: Path, task: str, engine: str, run_dir: RunDir, images: np.ndarray) -> Path:
    """The model in the form of the engine; made unless it is there, older ones removed."""
    form = EXACT_FORMS[engine]
    digest = hashlib.sha256(model.read_bytes()).hexdigest()[:16]
    path = run_dir.engines / f"{task}_{digest}{FORMS[form].suffix}"
    if all(part.is_file() for part in parts_of(path)):
        return path
    for part in parts_of(path):
        for old in path.parent.glob(f"{task}_*{part.suffix}"):
            old.unlink()
    export_model(load_model_file(model), path, form, images)
    return path
