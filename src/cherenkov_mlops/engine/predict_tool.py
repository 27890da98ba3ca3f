"""CTLearn's prediction tools: every row right, small files welcome, one pass over the images."""

import time
from pathlib import Path as FilePath

import keras
import numpy as np
import tensorflow as tf
from astropy import units as u
from astropy.table import Table
from astropy.time import Time
from ctapipe.io import HDF5Merger
from ctlearn.tools.predict_model import (
    MonoPredictCTLearnModel,
    PredictCTLearnModel,
    StereoPredictCTLearnModel,
)

from cherenkov_mlops.engine.loader import SampledLoader
from cherenkov_mlops.engine.reader import CuredImageReader
from cherenkov_mlops.engine.running import GuestTool
from cherenkov_mlops.engine.strategy import device_strategy
from cherenkov_mlops.errors import DataError

MODEL_TRAITS = {
    "type": "load_type_model_from",
    "energy": "load_energy_model_from",
    "cameradirection": "load_cameradirection_model_from",
    "skydirection": "load_skydirection_model_from",
}


class CuredPrediction(GuestTool, PredictCTLearnModel):
    """What the mono and the stereo tool share: set-up, and prediction in one pass.

    CTLearn 0.10.4 writes 0.0 with ``is_valid = True`` for the last incomplete batch of the
    particle type, refuses files with fewer events than a batch, and reads the images once for
    each model. Here every model sees each batch once, the last one included.

    Attributes
    ----------
    seconds_reading, seconds_network : float
        Time spent in reading (with mapping) and in the networks.
    n_predicted : int
        Events that were predicted.
    """

    def setup(self) -> None:
        """Copy what DL2 keeps of the input, then open the input."""
        self.activity_start_time = Time.now()
        self.seconds_reading = self.seconds_network = 0.0
        self._predictions: dict[FilePath, Table] = {}
        self.strategy = device_strategy()
        # Opened first: a file without usable events must not leave an output behind.
        self.dl1dh_reader = CuredImageReader(input_url_signal=[self.input_url], parent=self)
        self.n_predicted = self.dl1dh_reader._get_n_events()
        self.indices = list(range(self.n_predicted))
        with HDF5Merger(
            self.output_path, dl2_subarray=False, dl2_telescope=False, parent=self
        ) as merger:
            merger(self.input_url)
        self._ensure_subarray_consistency()

    def _predict_with_model(self, model_path: FilePath) -> tuple[Table, np.ndarray | None]:
        """Predictions of one of the models, rows in the order of the reader."""
        if self.dl1_features:
            self.last_batch_size = len(self.indices) % self.batch_size
            return super()._predict_with_model(model_path)
        if not self._predictions:
            self._predictions = self._predict_all_models()
        return self._predictions[model_path], None

    def _predict_all_models(self) -> dict[FilePath, Table]:
        given = {task: getattr(self, trait) for task, trait in MODEL_TRAITS.items()}
        paths = {task: path for task, path in given.items() if path is not None}
        with self.strategy.scope():
            models = {
                task: keras.saving.load_model(path, compile=False) for task, path in paths.items()
            }
        networks = {task: _compiled_call(model) for task, model in models.items()}
        batches: dict[str, list[np.ndarray]] = {task: [] for task in paths}
        loader = self._make_loader()
        for index in range(len(loader)):
            images = self._timed_read(loader, index)
            started = time.perf_counter()
            for task, network in networks.items():
                batches[task].append(_values(network(images), task))
            self.seconds_network += time.perf_counter() - started
        return {path: self._as_table(task, batches[task]) for task, path in paths.items()}

    def _timed_read(self, loader: SampledLoader, index: int) -> tf.Tensor:
        started = time.perf_counter()
        features, _ = loader[index]
        images = tf.convert_to_tensor(features, dtype=tf.float32)
        self.seconds_reading += time.perf_counter() - started
        return images

    def _make_loader(self) -> SampledLoader:
        return SampledLoader(
            self.dl1dh_reader,
            np.asarray(self.indices),
            tasks=[],
            batch_size=self.batch_size,
            sort_by_intensity=self.sort_by_intensity,
            stack_telescope_images=self.stack_telescope_images,
        )

    def _as_table(self, task: str, batches: list[np.ndarray]) -> Table:
        values = np.concatenate(batches)
        if len(values) != self.n_predicted:
            raise DataError(
                f"{self.input_url}: expected {self.n_predicted} predictions of the {task}, "
                f"got {len(values)}; the output would not match the events"
            )
        if not np.isfinite(values).all():
            raise DataError(f"{self.input_url}: the {task} model predicts NaN or infinity")
        return Table({task: values})

    def _transform_cam_coord_offsets_to_sky(self, table: Table) -> Table:
        """Upstream's columns; a telescope without rows gets them too (upstream: IndexError)."""
        if len(table):
            return super()._transform_cam_coord_offsets_to_sky(table)
        for name in ("az", "alt"):
            column = f"{self.prefixes['cameradirection']}_tel_{name}"
            table.add_column(u.Quantity(np.empty(0), u.deg), name=column)
        table.remove_columns(
            ["time", "pointing_azimuth", "pointing_altitude"]
            + ["cam_coord_offset_x", "cam_coord_offset_y"]
        )
        return table

    def finish(self) -> None:
        """Write the metadata of the product and close the input."""
        super().finish()
        self.dl1dh_reader.close_files()


# Upstream's tools call super() for what is cured: the cure has to come after them.
class MonoPredictTool(MonoPredictCTLearnModel, CuredPrediction):
    """Prediction telescope by telescope."""

    name = "cherenkov-mlops-predict-mono"


class StereoPredictTool(StereoPredictCTLearnModel, CuredPrediction):
    """Prediction of array events from stacked images."""

    name = "cherenkov-mlops-predict-stereo"


def _compiled_call(model: keras.Model) -> tf.types.experimental.PolymorphicFunction:
    """The model as one graph; ``Model.predict`` costs far more per call."""
    return tf.function(lambda images: model(images, training=False), reduce_retracing=True)


def _values(output: tf.Tensor | dict[str, tf.Tensor], task: str) -> np.ndarray:
    return np.asarray(output[task] if isinstance(output, dict) else output)
