"""One DL2 file from one DL1 file and one model, complete or not at all."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from traitlets.config import Config

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.dl1_file import DL1File
from cherenkov_mlops.data.inputs import Inputs
from cherenkov_mlops.engine.predict_tool import (
    MODEL_TRAITS,
    MonoPredictTool,
    StereoPredictTool,
)
from cherenkov_mlops.engine.reader import NoEventsError
from cherenkov_mlops.engine.running import run_tool
from cherenkov_mlops.engine.tool_config import base_traits, tool_traits
from cherenkov_mlops.run_dir import RunDir

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictionRecord:
    """What one prediction did.

    Parameters
    ----------
    n_events : int
        Predicted events.
    seconds_reading, seconds_network : float
        Time spent in reading and in the network.
    """

    n_events: int
    seconds_reading: float
    seconds_network: float


def predict_file(
    config: RunConfig,
    model: Path,
    source: Path,
    output: Path,
    telescopes: list[int],
    log_file: Path,
) -> PredictionRecord:
    """DL2 file ``output`` made from the DL1 file ``source``; nothing is left behind on failure.

    Parameters
    ----------
    config : RunConfig
        The run.
    model : Path
        Trained model.
    source, output : Path
        DL1 file to read, DL2 file to write.
    telescopes : list of int
        Telescopes of ``source`` to use.
    log_file : Path
        Log file of CTLearn's tool.

    Raises
    ------
    NoEventsError
        No event of ``source`` passes the cuts.
    """
    tool_class = StereoPredictTool if config.data.mode == "stereo" else MonoPredictTool
    partial = output.with_name(f".{output.name}.partial")
    output.parent.mkdir(parents=True, exist_ok=True)
    tool = tool_class(
        config=_prediction_traits(config, model, source, partial, telescopes, log_file)
    )
    try:
        run_tool(tool)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
        with suppress(AttributeError):
            tool.dl1dh_reader.close_files()
    return PredictionRecord(tool.n_predicted, tool.seconds_reading, tool.seconds_network)


def _prediction_traits(
    config: RunConfig,
    model: Path,
    source: Path,
    output: Path,
    telescopes: list[int],
    log_file: Path,
) -> Config:
    options = {
        "input_url": str(source),
        "output_path": str(output),
        "batch_size": config.test.batch_size,
        "stack_telescope_images": config.data.stack_telescope_images,
        "sort_by_intensity": config.data.sort_by_intensity,
        MODEL_TRAITS[config.task]: str(model),
    }
    # Pixels stay in the DL1 file; image parameters are small and wanted beside predictions.
    traits = tool_traits("PredictCTLearnModel", options, base_traits(config, telescopes), log_file)
    for name in ("dl1_images", "true_images", "r0_waveforms", "r1_waveforms"):
        traits.HDF5Merger.setdefault(name, False)
    traits.HDF5Merger.overwrite = True
    return traits


def predict_inputs(config: RunConfig, inputs: Inputs, run_dir: RunDir) -> dict[str, float]:
    """Facts about the prediction of all files, one DL2 file each in ``test/``.

    Returns
    -------
    dict
        ``reading_time_ms`` and ``network_time_ms`` an event, and ``n_testing_events``.

    Raises
    ------
    NoEventsError
        No event of any file passes the cuts. A single file without events is passed over.
    """
    records = []
    for label, files in inputs.files.items():
        for file in files:
            record = _predict_or_skip(config, file, label, inputs.telescopes, run_dir)
            if record is not None:
                records.append(record)
                log.info("test: %s: %d events", Path(file.path).name, record.n_events)
    n_events = sum(record.n_events for record in records)
    if not n_events:
        raise NoEventsError("test: no event of the test files is left after the cuts")
    return {
        "n_testing_events": n_events,
        "reading_time_ms": 1e3 * sum(record.seconds_reading for record in records) / n_events,
        "network_time_ms": 1e3 * sum(record.seconds_network for record in records) / n_events,
    }


def _predict_or_skip(
    config: RunConfig, file: DL1File, label: str, telescopes: list[int], run_dir: RunDir
) -> PredictionRecord | None:
    source = Path(file.path)
    # In mono a telescope without tables has nothing to predict; stacked images need its place.
    used = [n for n in telescopes if n in file.images or config.data.mode == "stereo"]
    output = run_dir.dl2(source, label)
    try:
        return predict_file(
            config, run_dir.trained_model, source, output, used, run_dir.logs / "test.ctlearn.log"
        )
    except NoEventsError:
        log.warning("test: %s: no event is left after the cuts; passed over", source)
        return None
