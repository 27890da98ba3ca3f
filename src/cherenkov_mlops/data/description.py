"""``prepare/data.json``: the distributions of the training files, of which a page is made."""

from collections.abc import Sequence
from typing import Any

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.distributions import (
    distribution_arrays,
    gather_distributions,
)
from cherenkov_mlops.data.findings import DataClass, Finding
from cherenkov_mlops.data.image_checks import least_telescopes
from cherenkov_mlops.data.inputs import Inputs
from cherenkov_mlops.data.manifest import Counts
from cherenkov_mlops.data.sample_images import read_sample_images
from cherenkov_mlops.provenance import timestamp
from cherenkov_mlops.results import plain_values

SCHEMA_VERSION = 1
#: Files listed; the manifest has them all.
_MAX_FILES = 300


def describe_data(
    config: RunConfig,
    inputs: Inputs,
    classes: Sequence[DataClass],
    counts: Counts,
    findings: Sequence[Finding],
) -> dict[str, Any]:
    """Gather all that the page about the training files shows, in JSON's own types.

    Parameters
    ----------
    config : RunConfig
        The run.
    inputs : Inputs
        Checked training files.
    classes : sequence of DataClass
        What is known of each class.
    counts : Counts
        Samples of each set and after each cut.
    findings : sequence of Finding
        What is odd.
    """
    seen = gather_distributions(config, inputs)
    names = {each.label: each.name for each in classes}
    files = [
        {
            "label": label,
            "path": file.path,
            "size": file.size,
            "sha256": file.sha256,
            "n_showers": file.n_showers,
            "n_images": sum(file.images.get(number, 0) for number in inputs.telescopes),
            "n_passing": file.n_passing,
            "energy_range_tev": file.energy_range_tev,
            "particles": file.particles,
            "pointings": file.pointings,
        }
        for label, group in inputs.files.items()
        for file in group
    ]
    return plain_values(
        {
            "schema_version": SCHEMA_VERSION,
            "run": {
                "name": config.run.name,
                "tasks": config.tasks,
                "mode": config.data.mode,
                "created": timestamp(),
                "classes": config.data.classes.model_dump(),
            },
            "camera": inputs.camera,
            "cuts": [list(pair) for pair in config.data.quality_criteria],
            "min_telescopes": least_telescopes(config),
            "findings": [finding.as_dict() for finding in findings],
            "classes": [each.as_dict() for each in classes],
            "counts": {"sets": counts.sets, "cuts": counts.cuts},
            "files": files[:_MAX_FILES],
            "n_files": len(inputs.all_files()),
            "figures": distribution_arrays(seen, names),
            "examples": read_sample_images(
                {label: part.candidates for label, part in seen.items()},
                config.data.focal_length_choice,
            ),
        }
    )
