"""One DL2 file from one DL1 file and one model a task, complete or not at all."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitlets.config import Config

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.dl1_file import DL1File
from cherenkov_mlops.data.inputs import Inputs
from cherenkov_mlops.dl1.examples import NoEventsError
from cherenkov_mlops.models.ctlearn_options import base_traits, tool_traits
from cherenkov_mlops.models.guest_tool import run_tool
from cherenkov_mlops.prediction.companions import find_models
from cherenkov_mlops.prediction.engine_choice import choose_engine
from cherenkov_mlops.prediction.predict_tool import (
    MODEL_TRAITS,
    MaskingMeanCombiner,
    MonoPredictTool,
    StereoPredictTool,
)
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


@dataclass(frozen=True)
class Job:
    """One prediction: what from, where to.

    Parameters
    ----------
    models : dict of str to Path
        Task -> trained model.
    source, output : Path
        DL1 file to read, DL2 file to write.
    telescopes : list of int
        Telescopes of ``source`` to use.
    log_file : Path
        Log file of CTLearn's tool.
    """

    models: dict[str, Path]
    source: Path
    output: Path
    telescopes: list[int]
    log_file: Path

    @property
    def partial(self) -> Path:
        """Where the output grows until it is complete."""
        return self.output.with_name(f".{self.output.name}.partial")


def predict_file(config: RunConfig, job: Job) -> PredictionRecord:
    """What was predicted; the DL2 file is there afterwards, or nothing on failure.

    Raises
    ------
    NoEventsError
        No event of the source passes the cuts.
    """
    tool_class = StereoPredictTool if config.data.mode == "stereo" else MonoPredictTool
    job.output.parent.mkdir(parents=True, exist_ok=True)
    tool = tool_class(config=_prediction_traits(config, job))
    try:
        run_tool(tool)
        job.partial.replace(job.output)
    finally:
        job.partial.unlink(missing_ok=True)
        with suppress(AttributeError):
            tool.dl1dh_reader.close_files()
    return PredictionRecord(tool.n_predicted, tool.seconds_reading, tool.seconds_network)


def _prediction_traits(config: RunConfig, job: Job) -> Config:
    options = {
        "input_url": str(job.source),
        "output_path": str(job.partial),
        "reader": config.data.reader,
        "batch_size": config.test.batch_size,
        "stack_telescope_images": config.data.stack_telescope_images,
        "sort_by_intensity": config.data.sort_by_intensity,
    }
    if config.data.mode == "mono":
        options["stereo_combiner_cls"] = MaskingMeanCombiner.__name__
    options |= {MODEL_TRAITS[task]: str(model) for task, model in job.models.items()}
    given = base_traits(config, job.telescopes)
    traits = tool_traits("PredictCTLearnModel", options, given, job.log_file)
    # Pixels stay in the DL1 file; image parameters are small and wanted beside predictions.
    for name in ("dl1_images", "true_images", "r0_waveforms", "r1_waveforms"):
        traits.HDF5Merger.setdefault(name, False)
    traits.HDF5Merger.overwrite = True
    return traits


def predict_inputs(config: RunConfig, inputs: Inputs, run_dir: RunDir) -> dict[str, Any]:
    """Facts about the prediction of all files, one DL2 file each in ``test/``.

    Returns
    -------
    dict
        ``reading_time_ms`` and ``network_time_ms`` an event, ``n_testing_events``, ``engine`` and
        its largest difference from Keras, ``engine_difference``.

    Raises
    ------
    NoEventsError
        No event of any file passes the cuts. A single file without events is passed over.
    UserError
        A run of ``test.with_runs`` cannot be used.
    """
    chosen = choose_engine(config, find_models(config, run_dir), inputs, run_dir)
    models, records = chosen.models, []
    for label, files in inputs.files.items():
        outputs = inputs.outputs(label, run_dir)
        for file in files:
            output = outputs[Path(file.path)]
            record = _predict_or_skip(config, models, file, output, inputs.telescopes, run_dir)
            if record is not None:
                records.append(record)
                log.info("test: %s: %d events", Path(file.path).name, record.n_events)
    n_events = sum(record.n_events for record in records)
    if not n_events:
        raise NoEventsError("test: no event of the test files is left after the cuts")
    return {
        "engine": chosen.engine,
        "engine_difference": chosen.difference,
        "n_testing_events": n_events,
        "reading_time_ms": 1e3 * sum(record.seconds_reading for record in records) / n_events,
        "network_time_ms": 1e3 * sum(record.seconds_network for record in records) / n_events,
    }


def _predict_or_skip(
    config: RunConfig,
    models: dict[str, Path],
    file: DL1File,
    output: Path,
    telescopes: list[int],
    run_dir: RunDir,
) -> PredictionRecord | None:
    source = Path(file.path)
    # In mono a telescope without tables has nothing to predict; stacked images need its place.
    used = [n for n in telescopes if n in file.images or config.data.mode == "stereo"]
    if not used:
        log.warning("test: %s: has none of the telescopes in use; passed over", source)
        return None
    job = Job(
        models=models,
        source=source,
        output=output,
        telescopes=used,
        log_file=run_dir.logs / "test.ctlearn.log",
    )
    try:
        return predict_file(config, job)
    except NoEventsError:
        log.warning("test: %s: no event is left after the cuts; passed over", source)
        return None
