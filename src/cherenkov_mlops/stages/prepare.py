"""``prepare``: check the data, split them, build the model."""

import logging

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.checks import with_findings
from cherenkov_mlops.data.description import describe_data
from cherenkov_mlops.data.findings import tell
from cherenkov_mlops.data.inputs import inspect_inputs
from cherenkov_mlops.data.manifest import write_manifest
from cherenkov_mlops.dl1.preparation import prepare_data
from cherenkov_mlops.errors import ConfigError
from cherenkov_mlops.metrics.base import EvaluationSettings
from cherenkov_mlops.models.base import model_type_of
from cherenkov_mlops.models.ctlearn_options import check_trait_names
from cherenkov_mlops.pipeline.attempt import Attempt
from cherenkov_mlops.pipeline.lifecycle import run_stage
from cherenkov_mlops.reporting.data_page import render_data_page
from cherenkov_mlops.run_dir import (
    RunDir,
    write_json_atomically,
    write_text_atomically,
)

log = logging.getLogger(__name__)


def run(config: RunConfig, run_dir: RunDir, *, force: bool = False) -> None:
    """Run the stage unless it is complete and unchanged; see `prepare` and `run_stage`."""
    run_stage("prepare", config, run_dir, force=force)


def prepare(config: RunConfig, run_dir: RunDir, attempt: Attempt) -> None:
    """Write ``prepare/``: manifest, split, a page about the data, and the untrained model.

    Raises
    ------
    UserError
        The configuration does not fit CTLearn, the model not the task.
    DataError
        A file cannot be used, or no event passes the cuts.
    """
    if problems := check_trait_names(config):
        raise ConfigError(problems)
    inputs = inspect_inputs(config, "train")
    edges_tev = EvaluationSettings.from_config(config).energy_edges_tev
    manifest = with_findings(config, prepare_data(config, inputs, edges_tev))
    tell(manifest.findings)
    model = model_type_of(config).build(config, manifest.input_shape)

    write_manifest(manifest, run_dir)
    description = describe_data(
        config, manifest.inputs, manifest.classes, manifest.counts, manifest.findings
    )
    write_json_atomically(run_dir.data_description, description)
    write_text_atomically(run_dir.data_page, render_data_page(description))
    model.save(run_dir.prepare_dir)
    write_text_atomically(run_dir.model_summary, model.summarise())

    for name, counts in manifest.counts.sets.items():
        by_class = ", ".join(
            f"{n} {getattr(config.data.classes, label)}" for label, n in counts.items()
        )
        log.info("prepare: %s set: %s", name, by_class)
    shape = " x ".join(str(size) for size in manifest.input_shape)
    what = ", ".join(model.sees)
    log.info("prepare: %s sees %s; an image is %s", config.model.type, what, shape)
    log.info("prepare: %s", run_dir.data_page)
