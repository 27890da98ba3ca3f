"""``prepare``: check the data, split them, build the model."""

import logging
import shutil

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.findings import tell
from cherenkov_mlops.data.inputs import inspect_inputs
from cherenkov_mlops.data.manifest import Manifest, write_manifest
from cherenkov_mlops.dl1.preparation import prepare_data
from cherenkov_mlops.errors import ConfigError
from cherenkov_mlops.metrics.base import EvaluationSettings
from cherenkov_mlops.models.builder import build_model, summarise
from cherenkov_mlops.models.ctlearn_options import check_trait_names
from cherenkov_mlops.pipeline.data_checks import with_findings, write_data_page
from cherenkov_mlops.pipeline.lifecycle import run_stage
from cherenkov_mlops.run_dir import RunDir, atomic_path, write_text_atomically

log = logging.getLogger(__name__)


def run(config: RunConfig, run_dir: RunDir, *, force: bool = False) -> None:
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
    run_stage("prepare", config, run_dir, _prepare, force=force)


def _prepare(config: RunConfig, run_dir: RunDir) -> None:
    inputs = inspect_inputs(config, "train")
    edges_tev = EvaluationSettings.from_config(config).energy_edges_tev
    manifest = with_findings(config, prepare_data(config, inputs, edges_tev))
    tell(manifest.findings)
    model = build_model(config, manifest.input_shape)

    write_manifest(manifest, run_dir)
    write_data_page(config, manifest, run_dir)
    if config.model.type == "custom":
        with atomic_path(run_dir.custom_model) as temporary:
            shutil.copyfile(config.model.file, temporary)
    with atomic_path(run_dir.untrained_model) as temporary:
        model.save(temporary)
    write_text_atomically(run_dir.model_summary, summarise(model))
    _tell(config, run_dir, manifest, model.count_params())


def _tell(config: RunConfig, run_dir: RunDir, manifest: Manifest, n_parameters: int) -> None:
    for name, counts in manifest.counts.sets.items():
        by_class = ", ".join(
            f"{n} {getattr(config.data.classes, label)}" for label, n in counts.items()
        )
        log.info("prepare: %s set: %s", name, by_class)
    shape = " x ".join(str(size) for size in manifest.input_shape)
    log.info("prepare: %s, %d parameters, input %s", config.model.type, n_parameters, shape)
    log.info("prepare: %s", run_dir.data_page)
