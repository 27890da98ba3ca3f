"""``compress``: the trained model of a run in smaller number formats, each a run of its own."""

import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from cherenkov_mlops.compression.export import export_model
from cherenkov_mlops.compression.export.calibration import draw_images
from cherenkov_mlops.compression.export.litert import export_aware
from cherenkov_mlops.compression.quantization.aware import load_aware
from cherenkov_mlops.config.schema import ExportSection, RunConfig
from cherenkov_mlops.config.text import to_yaml
from cherenkov_mlops.data.manifest import check_unchanged, read_manifest
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.forms import FORMS
from cherenkov_mlops.models.cost import file_sizes, model_facts
from cherenkov_mlops.models.keras_model import (
    load_custom_code,
    load_model_file,
    load_network,
    predict,
)
from cherenkov_mlops.pipeline.lifecycle import is_made
from cherenkov_mlops.pipeline.record import RunRecord
from cherenkov_mlops.pipeline.stage import maker_of
from cherenkov_mlops.run_dir import RunDir, write_json_atomically, write_text_atomically

#: What is as large as the training itself, or of no use without it.
LEFT_OUT = shutil.ignore_patterns("tensorboard", "backup", ".*")

#: Between two ways to compute the same network in 32 bit, outputs of order 1.
MOST_BY_ROUNDING = 1e-3


@dataclass(frozen=True)
class Compressed:
    """One export.

    Parameters
    ----------
    run_dir : RunDir
        Run whose ``test`` uses it.
    size, zipped : int
        Bytes of its file, as it is and deflated.
    zipped_share : float
        Of the deflated Keras model without optimizer state.
    difference : float
        Largest absolute difference of an output from the Keras model's, for training events.
    """

    run_dir: RunDir
    size: int
    zipped: int
    zipped_share: float
    difference: float


def run(
    config: RunConfig, run_dir: RunDir, formats: Sequence[str], *, force: bool = False
) -> list[Compressed]:
    """Export a trained run to each format; its run is there afterwards, ready for ``test``.

    Raises
    ------
    UserError
        The run is not trained, is an export itself, or a folder is there already.
    DataError
        Files changed since ``prepare``, or pixel values are NaN.
    """
    check_trained(config, run_dir)
    targets = {kind: RunDir(run_dir.path.with_name(f"{run_dir.name}_{kind}")) for kind in formats}
    for target in targets.values():
        if target.path.exists() and not force:
            raise UserError(f"compress: {target.path}: is there already; write --force")
    manifest = read_manifest(run_dir)
    check_unchanged(manifest.inputs)
    load_custom_code(config, run_dir)
    model = load_model_file(run_dir.trained_model)
    images = draw_images(config, manifest)
    expected = predict(model, images)
    dense = model_facts(model)["model_size_zipped_mb"] * 1e6
    found = []
    for kind, target in targets.items():
        with _new_run(config, run_dir, target, kind) as made:
            path = made.exported_model(kind)
            if kind == "int8" and config.quantization is not None:
                export_aware(load_aware(run_dir.aware_model), path, images)
            else:
                export_model(model, path, kind, images)
            got = predict(load_network(path), images)
            difference = float(np.abs(got - expected).max())
            # Forms of 32 bit differ by rounding, or compute something else.
            is_wrong = FORMS[kind].is_exact and difference > MOST_BY_ROUNDING
            if is_wrong or not np.isfinite(got).all():
                raise UserError(
                    f"compress: {kind}: expected the outputs of the Keras model, got differences "
                    f"of up to {difference:.2g}; {FORMS[kind].engine} computes this model in "
                    "another way"
                )
        size, zipped = file_sizes(target.exported_model(kind))
        found.append(Compressed(target, size, zipped, zipped / dense, difference))
    return found


def check_trained(config: RunConfig, run_dir: RunDir) -> None:
    """Raise UserError if the run has no trained model of its own."""
    if config.export is not None or not is_made(run_dir.train_dir, run_dir):
        what = "an export" if config.export else "a run that is not trained"
        raise UserError(f"compress: {run_dir.path}: expected a trained run, got {what}")


@contextmanager
def _new_run(config: RunConfig, source: RunDir, target: RunDir, kind: str) -> Iterator[RunDir]:
    """Copy a trained run under another name, in place when all went well."""
    made = RunDir(target.path.with_name(f".{target.name}.{os.getpid()}.tmp"))
    try:
        for part in (source.manifest.parent, source.train_dir):
            shutil.copytree(part, made.path / part.name, ignore=LEFT_OUT)
        run_section = config.run.model_copy(update={"name": target.name, "dir": target.path.parent})
        export = ExportSection(format=kind, of=source.path.resolve())
        # An export has an engine of its own.
        testing = config.test.model_copy(update={"engine": "keras"})
        sections = {"run": run_section, "export": export, "test": testing}
        copy = config.model_copy(update=sections)
        write_text_atomically(made.config, to_yaml(copy.dump()))
        write_text_atomically(made.resolved_config, to_yaml(copy.dump()))
        record = RunRecord.read(source).content
        makers = [
            maker_of(part, source).name for part in (source.manifest.parent, source.train_dir)
        ]
        stages = {name: record["stages"][name] for name in makers}
        about = {"id": uuid.uuid4().hex, "name": target.name, "exported_from": record["id"]}
        write_json_atomically(made.record, record | about | {"stages": stages})
        yield made
        if target.path.exists():
            shutil.rmtree(target.path)
        made.path.rename(target.path)
    finally:
        shutil.rmtree(made.path, ignore_errors=True)
