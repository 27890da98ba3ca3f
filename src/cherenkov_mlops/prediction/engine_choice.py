"""The engine that ``test`` predicts with: exported once, compared with Keras, timed."""

import hashlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from cherenkov_mlops.compression.export import export_model
from cherenkov_mlops.compression.export.calibration import draw_test_images
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.inputs import Inputs
from cherenkov_mlops.dl1.examples import NoEventsError
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.forms import EXACT_FORMS, FORMS, parts_of
from cherenkov_mlops.models.base import Model
from cherenkov_mlops.models.keras_model import KerasModel, engine_of
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
    models : list of Model
        What predicts.
    rate_hz : float
        Images a second through all models.
    difference : float
        Largest absolute difference of an output from Keras'.
    """

    engine: str
    models: list[Model]
    rate_hz: float = np.nan
    difference: float = 0.0


def choose_engine(
    config: RunConfig, models: list[Model], inputs: Inputs, run_dir: RunDir
) -> Candidate:
    """Take the engine of ``test.engine`` with the models in its form, kept in ``engines/``.

    ``auto`` takes the fastest of those that are installed and whose outputs for test images are
    those of Keras within ``TOLERANCE``.

    Parameters
    ----------
    config : RunConfig
        The run.
    models : list of Model
        Trained models, or exports.
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
        is_network = isinstance(models[0], KerasModel)
        return Candidate(engine_of(config) if is_network else config.model.type, models)
    if foreign := [model for model in models if not isinstance(model, KerasModel)]:
        raise UserError(
            f"{config.locate('test.engine')}: test.engine: expected keras for a model that is no "
            f"network ({', '.join(foreign[0].tasks)}), got {wanted}; leave it out"
        )
    bench = _Bench(
        config.data.reader, _read_some_images(config, inputs), config.test.batch_size, models
    )
    if wanted != "auto":
        chosen = bench.try_engine(wanted, run_dir)
        if chosen.difference > TOLERANCE:
            log.warning(
                "predict: %s differs from Keras by up to %.2g, more than %g",
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
            log.info("predict: engine %s is passed over: %s", engine, error)
            continue
        if candidate.difference <= TOLERANCE:
            fit.append(candidate)
        else:
            log.info(
                "predict: engine %s is passed over: differs by more than %g", engine, TOLERANCE
            )
    chosen = max(fit, key=lambda candidate: candidate.rate_hz)
    log.info("predict: predicting with %s, the fastest of %d engines", chosen.engine, len(fit))
    return chosen


class _Bench:
    """Images, and what Keras makes of them and how fast."""

    def __init__(self, view: str, images: np.ndarray, batch_size: int, models: list[KerasModel]):
        starts = range(0, len(images), batch_size)
        self.batches = [{view: images[at : at + batch_size]} for at in starts]
        self.view, self.n_images, self.models = view, len(images), models
        self.expected = self._predict(models)
        self.keras = Candidate("keras", models, self._measure(models))
        log.info("predict: engine keras: %.0f images/s", self.keras.rate_hz)

    def try_engine(self, engine: str, run_dir: RunDir) -> Candidate:
        """The engine with its rate and its difference, which are logged."""
        images = self.batches[0][self.view][:1]
        models = [
            KerasModel(model.config, model.file, export_once(model, engine, run_dir, images))
            for model in self.models
        ]
        got = self._predict(models)
        gaps = [float(np.abs(got[task] - self.expected[task]).max()) for task in got]
        # A comparison with NaN is never true: such an engine is never near enough.
        difference = max(gaps) if np.isfinite(gaps).all() else np.inf
        found = Candidate(engine, models, self._measure(models), difference)
        log.info(
            "predict: engine %s: %.0f images/s, largest difference from Keras %.2g (%d images)",
            engine,
            found.rate_hz,
            found.difference,
            self.n_images,
        )
        return found

    def _predict(self, models: list[KerasModel]) -> dict[str, np.ndarray]:
        return {
            task: np.concatenate([model.predict(batch)[task] for batch in self.batches])
            for model in models
            for task in model.tasks
        }

    def _measure(self, models: list[KerasModel]) -> float:
        """Images a second, median of some rounds."""
        seconds = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            self._predict(models)
            seconds.append(time.perf_counter() - started)
        return self.n_images / median(seconds)


def _read_some_images(config: RunConfig, inputs: Inputs) -> np.ndarray:
    """Images of the first file that has any after the cuts."""
    for label, files in inputs.files.items():
        for file in files:
            try:
                return draw_test_images(config, _only(inputs, label, file), N_IMAGES)
            except NoEventsError:
                continue
    raise NoEventsError("predict: no event of the test files is left after the cuts")


def _only(inputs: Inputs, label: str, file: object) -> Inputs:
    """One file; as signal, for a reader needs some."""
    return Inputs({"signal": [file]}, inputs.telescopes, inputs.camera, inputs.idle)


def export_once(model: KerasModel, engine: str, run_dir: RunDir, images: np.ndarray) -> Path:
    """Find the model in the form of the engine; made unless it is there, older ones removed."""
    form, name = EXACT_FORMS[engine], "_".join(model.tasks)
    digest = hashlib.sha256(model.file.read_bytes()).hexdigest()[:16]
    path = run_dir.engines / f"{name}_{digest}{FORMS[form].suffix}"
    if all(part.is_file() for part in parts_of(path)):
        return path
    for part in parts_of(path):
        for old in path.parent.glob(f"{name}_*{part.suffix}"):
            old.unlink()
    export_model(model.network, path, form, images)
    return path
