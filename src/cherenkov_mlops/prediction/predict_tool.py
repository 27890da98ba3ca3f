"""CTLearn's prediction tools: every row right, small files welcome, one pass over the images."""

import time
from pathlib import Path as FilePath

import numpy as np
import tables
import tensorflow as tf
from astropy import units as u
from astropy.table import Column, Table
from astropy.time import Time
from ctapipe.core.traits import CaselessStrEnum
from ctapipe.io import HDF5Merger
from ctapipe.reco.stereo_combination import StereoMeanCombiner
from ctlearn.tools.predict_model import (
    MonoPredictCTLearnModel,
    PredictCTLearnModel,
    StereoPredictCTLearnModel,
)

from cherenkov_mlops.data.paths import LAYOUT
from cherenkov_mlops.dl1.loader import SampledLoader
from cherenkov_mlops.dl1.reader import READERS
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.models.guest_tool import GuestTool
from cherenkov_mlops.models.networks import load_network
from cherenkov_mlops.training.strategy import device_strategy

MODEL_TRAITS = {
    "type": "load_type_model_from",
    "energy": "load_energy_model_from",
    "cameradirection": "load_cameradirection_model_from",
    "skydirection": "load_skydirection_model_from",
}


class MaskingMeanCombiner(StereoMeanCombiner):
    """ctapipe's mean over telescopes, which says by a mask which of them took part.

    ctapipe gives lists of telescopes, which CTLearn's tools turn into a mask; they fail where the
    lists of all events are equally long.
    """

    def predict_table(self, mono_predictions: Table) -> Table:
        """Combined predictions; the column ``<prefix>_telescopes`` has shape (n, n_telescopes)."""
        combined = super().predict_table(mono_predictions)
        name = f"{self.prefix}_telescopes"
        if combined[name].dtype != np.bool_:
            combined[name] = self._as_mask(combined[name])
        return combined

    def _as_mask(self, telescopes: Column) -> np.ndarray:
        subarray = self.parent.dl1dh_reader.subarray
        mask = np.zeros((len(telescopes), subarray.n_tels), dtype=bool)
        rows = np.repeat(np.arange(len(telescopes)), [len(tel_ids) for tel_ids in telescopes])
        tel_ids = np.concatenate([np.asarray(part, dtype=int) for part in telescopes])
        if len(tel_ids):
            mask[rows, subarray.tel_ids_to_indices(tel_ids)] = True
        return mask


class CuredPrediction(GuestTool, PredictCTLearnModel):
    """What the mono and the stereo tool share: set-up, and prediction in one pass.

    CTLearn 0.10.4 writes 0.0 with ``is_valid = True`` for the last incomplete batch of the
    particle type, refuses files with fewer events than a batch, and reads the images once for
    each model. Here every model sees each batch once, the last one included.

    Attributes
    ----------
    seconds_reading, seconds_network : float
        Time spent in reading (with mapping, beside the networks) and in the networks.
    n_predicted : int
        Events that were predicted.
    """

    reader = CaselessStrEnum(list(READERS), "images", help="What the network sees").tag(config=True)

    def setup(self) -> None:
        """Copy what DL2 keeps of the input, then open the input."""
        self.activity_start_time = Time.now()
        self.seconds_reading = self.seconds_network = 0.0
        self._predictions: dict[FilePath, Table] = {}
        self.strategy = device_strategy()
        # Opened first: a file without usable events must not leave an output behind.
        reader_class = READERS[self.reader]
        self.dl1dh_reader = reader_class(input_url_signal=[self.input_url], parent=self)
        self.dl1dh_reader.read_in_order()
        self.n_predicted = self.dl1dh_reader._get_n_events()
        self.indices = list(range(self.n_predicted))
        with HDF5Merger(
            self.output_path, dl2_subarray=False, dl2_telescope=False, parent=self
        ) as merger:
            merger(self.input_url)
        self._ensure_subarray_consistency()

    def _ensure_subarray_consistency(self) -> None:
        """Trim output and triggers to the telescopes in use, where the file has others, too.

        Upstream does so for every file: it compares the array of the file with one whose cameras
        the image mapper has turned.
        """
        with tables.open_file(self.input_url) as file:
            in_file = file.get_node(LAYOUT).col("tel_id")
        if set(in_file.tolist()) != set(self.dl1dh_reader.tel_ids):
            super()._ensure_subarray_consistency()

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
            networks = {task: load_network(path) for task, path in paths.items()}
        batches: dict[str, list[np.ndarray]] = {task: [] for task in paths}
        loader = self._make_loader()
        for index in range(len(loader)):
            images = tf.convert_to_tensor(loader[index][0], dtype=tf.float32)
            started = time.perf_counter()
            for task, network in networks.items():
                batches[task].append(_values(network(images), task))
            self.seconds_network += time.perf_counter() - started
        self.seconds_reading = loader.seconds_reading
        return {path: self._as_table(task, batches[task]) for task, path in paths.items()}

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


def _values(output: tf.Tensor | np.ndarray | dict[str, tf.Tensor], task: str) -> np.ndarray:
    return np.asarray(output[task] if isinstance(output, dict) else output)
