"""What trained models say about files: one DL2 file from each, complete or not at all."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.inputs import Inputs
from cherenkov_mlops.dl1.examples import NoEventsError
from cherenkov_mlops.dl1.loader import SampledLoader
from cherenkov_mlops.dl1.options import reader_traits
from cherenkov_mlops.dl1.parameters import check_views, read_parameters
from cherenkov_mlops.dl1.preparation import open_reader
from cherenkov_mlops.dl2.write import write_dl2
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.models.base import Model
from cherenkov_mlops.prediction.companions import find_models
from cherenkov_mlops.prediction.engine_choice import choose_engine
from cherenkov_mlops.run_dir import RunDir

log = logging.getLogger(__name__)

#: Pixels stay in the DL1 file; image parameters are small and wanted beside predictions.
LEFT_OUT = ("dl1_images", "true_images", "r0_waveforms", "r1_waveforms")


@dataclass(frozen=True)
class PredictionRecord:
    """What one prediction did.

    Parameters
    ----------
    n_events : int
        Predicted events.
    seconds_reading, seconds_network : float
        Time spent in reading (with mapping, beside the models) and in the models.
    """

    n_events: int
    seconds_reading: float
    seconds_network: float


def predict_inputs(config: RunConfig, inputs: Inputs, run_dir: RunDir) -> dict[str, Any]:
    """Predict all files, one DL2 file each in ``predict/``.

    Returns
    -------
    dict
        Facts: ``reading_time_ms`` and ``network_time_ms`` an event, ``n_testing_events``,
        ``engine`` and its largest difference from Keras, ``engine_difference``.

    Raises
    ------
    NoEventsError
        No event of any file passes the cuts. A single file without events is passed over.
    UserError
        A run of ``test.with_runs`` cannot be used, or an engine is not for these models.
    """
    chosen = choose_engine(config, find_models(config, run_dir), inputs, run_dir)
    records = []
    for label, files in inputs.files.items():
        outputs = inputs.outputs(label, run_dir)
        for file in files:
            source = Path(file.path)
            # In mono a telescope without tables has nothing to predict; stacked images need its
            # place.
            is_mono = config.data.mode == "mono"
            used = [n for n in inputs.telescopes if n in file.images or not is_mono]
            if not used:
                log.warning("predict: %s: has none of the telescopes in use; passed over", source)
                continue
            single = replace(inputs, files={"signal": [file]}, telescopes=used)
            try:
                record = predict_file(config, chosen.models, single, outputs[source])
            except NoEventsError:
                log.warning("predict: %s: no event is left after the cuts; passed over", source)
                continue
            records.append(record)
            log.info("predict: %s: %d events", source.name, record.n_events)
    n_events = sum(record.n_events for record in records)
    if not n_events:
        raise NoEventsError("predict: no event of the test files is left after the cuts")
    return {
        "engine": chosen.engine,
        "engine_difference": chosen.difference,
        "n_testing_events": n_events,
        "reading_time_ms": 1e3 * sum(record.seconds_reading for record in records) / n_events,
        "network_time_ms": 1e3 * sum(record.seconds_network for record in records) / n_events,
    }


def predict_file(
    config: RunConfig, models: Sequence[Model], single: Inputs, output: Path
) -> PredictionRecord:
    """Predict one file: every model sees each batch once, the last one included.

    Parameters
    ----------
    config : RunConfig
        The run.
    models : sequence of Model
        What predicts, each one task or several.
    single : Inputs
        The file, as signal: a reader needs some.
    output : Path
        DL2 file to write; it is there afterwards, or nothing on failure.

    Raises
    ------
    NoEventsError
        No event of the file passes the cuts.
    UserError
        A model sees what the run does not read.
    DataError
        A model predicts NaN or infinity.
    """
    (source,) = single.paths("signal")
    views = {view for model in models for view in model.sees}
    check_views(config, views)
    answers: dict[str, list[np.ndarray]] = {task: [] for model in models for task in model.tasks}
    seconds_reading = seconds_network = 0.0
    # Opened first: a file without usable events must not leave an output behind.
    with open_reader(config, single) as reader:
        reader.read_in_order()
        loader = SampledLoader(
            reader,
            np.arange(reader.get_n_events()),
            tasks=[],
            batch_size=config.test.batch_size,
            sort_by_intensity=config.data.sort_by_intensity,
            stack_telescope_images=config.data.stack_telescope_images,
        )
        parameters: dict[str, np.ndarray] = {}
        if "parameters" in views:
            # At once: a table is read as a whole, for however few rows.
            started = time.perf_counter()
            parameters = read_parameters(reader, loader.rows)
            seconds_reading = time.perf_counter() - started
        for index, rows in enumerate(loader.batches):
            batch: dict[str, Any] = {}
            if config.data.reader in views:
                batch[config.data.reader] = loader[index][0]
            if "parameters" in views:
                batch["parameters"] = {name: values[rows] for name, values in parameters.items()}
            started = time.perf_counter()
            for model in models:
                for task, values in model.predict(batch).items():
                    answers[task].append(values)
            seconds_network += time.perf_counter() - started
        predictions = {task: np.concatenate(parts) for task, parts in answers.items()}
        n_events = len(loader.rows)
        for task, values in predictions.items():
            if len(values) != n_events:
                raise DataError(
                    f"{source}: expected {n_events} predictions of the {task}, got {len(values)}; "
                    "the output would not match the events"
                )
            if not np.isfinite(values).all():
                raise DataError(f"{source}: the {task} model predicts NaN or infinity")

        traits = reader_traits(config)
        for name in LEFT_OUT:
            traits.HDF5Merger.setdefault(name, False)
        traits.HDF5Merger.overwrite = True
        output.parent.mkdir(parents=True, exist_ok=True)
        # It grows under another name until it is complete.
        partial = output.with_name(f".{output.name}.partial")
        try:
            write_dl2(source, partial, reader, predictions, traits)
            partial.replace(output)
        finally:
            partial.unlink(missing_ok=True)
    return PredictionRecord(n_events, seconds_reading + loader.seconds_reading, seconds_network)
