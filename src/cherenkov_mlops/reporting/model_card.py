"""The model card: what others must know who find the model, in the format of Hugging Face."""

from collections.abc import Mapping
from io import StringIO
from pathlib import PurePath
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from ruamel.yaml import YAML

from cherenkov_mlops.metrics import Metric, metrics_of
from cherenkov_mlops.reporting.notices import find_notices
from cherenkov_mlops.reporting.ranking import stored_value
from cherenkov_mlops.reporting.tables import MISSING, format_measured, format_number
from cherenkov_mlops.results import Results
from cherenkov_mlops.tasks import TASKS

#: Kind of the task -> Hugging Face's name; regression from images has none of its own.
PIPELINE_TAGS = {"type": "image-classification", "energy": "other", "direction": "other"}
_MODES = {"mono": "the images of one telescope", "stereo": "the images of all telescopes"}
_ANSWERS = {
    "type": "the probability that a shower was started by the signal class",
    "energy": "the decimal logarithm of the energy of the primary particle in TeV",
    "direction": "the direction of the primary particle as offsets from a known one, in degrees",
}


def render_model_card(run: Results) -> str:
    """Markdown with a YAML head, made from the results alone.

    References
    ----------
    https://huggingface.co/docs/hub/model-cards
    """
    environment = Environment(
        loader=PackageLoader("cherenkov_mlops.reporting", "templates"),
        # Markdown has nothing to escape: names of files and metrics stand in code spans.
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("model_card.md.j2").render(_content(run))


def _content(run: Results) -> dict[str, Any]:
    task = TASKS[run.run["task"]]
    kind = task.kind
    classes = run.run["classes"]
    mode = run.run.get("mode", "")
    return {
        "head": _yaml_text(card_metadata(run)),
        "run": run.run,
        "title": run.run.get("title") or run.run["name"],
        "task": task,
        "kind": kind,
        "answer": _ANSWERS[kind],
        "input": _MODES.get(mode, "telescope images"),
        "classes": [classes.get(name, name) for name in ("signal", "background")],
        "counts": _counts(run),
        "files": _file_names(run.data.get("files", {})),
        "cuts": [cut.get("cut", "") for cut in run.data.get("cuts", [])[1:]],
        "metrics": [_metric_row(run, entry) for entry in metrics_of(kind).values()],
        "facts": _fact_rows(run),
        "settings": run.evaluation,
        "notices": [notice.text for notice in find_notices(run)],
        "model": run.model.get("name", MISSING),
        "versions": _versions(run.provenance),
    }


def card_metadata(run: Results) -> dict[str, Any]:
    """The YAML head: licence, library, tags, and the results as a ``model-index``."""
    task = TASKS[run.run["task"]]
    kind = task.kind
    known = [
        entry
        for entry in metrics_of(kind).values()
        if entry.better != "none" and np.isfinite(stored_value(run, entry.name))
    ]
    values = [
        {
            "type": entry.name,
            "name": entry.text.rstrip("."),
            "value": float(f"{stored_value(run, entry.name):.6g}"),
            "verified": False,
        }
        for entry in known
    ]
    result = {
        "task": {"type": PIPELINE_TAGS[kind], "name": task.title},
        "dataset": {
            "type": "dl1-hdf5",
            "name": "simulated Cherenkov-telescope images (DL1)",
            "split": "test",
            # Which events were tested, so that two cards can be compared.
            "revision": str(run.data.get("test_digest", ""))[:16],
        },
        "metrics": values,
    }
    return {
        # To be chosen by whoever publishes the model: it is theirs.
        "license": "unknown",
        "library_name": "keras",
        "tags": ["cherenkov-telescopes", "gamma-ray-astronomy", "ctlearn", task.name],
        "pipeline_tag": PIPELINE_TAGS[kind],
        "metrics": [entry.name for entry in known if entry.key],
        "model-index": [{"name": run.run["name"], "results": [result]}],
    }


def _metric_row(run: Results, entry: Metric) -> list[str]:
    stored = run.metrics.get(entry.name, {})
    value, interval = format_measured(stored.get("value"), stored.get("low"), stored.get("high"))
    good = {"higher": "high", "lower": "low", "zero": "near zero"}.get(entry.better, MISSING)
    return [f"`{entry.name}`", value, interval or MISSING, entry.unit, good, entry.text]


def _fact_rows(run: Results) -> list[list[str]]:
    engine = run.facts.get("engine")
    rows = [["What computed the predictions.", str(engine)]] if engine else []
    for entry in metrics_of("generic").values():
        value = run.facts.get(entry.name)
        if isinstance(value, int | float) and np.isfinite(value):
            rows.append([entry.text, f"{format_number(value)} {entry.unit}".strip()])
    return rows


def _counts(run: Results) -> list[list[str]]:
    rows = []
    for name in ("train", "validation", "test"):
        numbers = run.data.get(name) or {}
        counts = (format_number(numbers.get(label)) for label in ("signal", "background"))
        rows.append([name, *counts])
    return rows


def _file_names(files: Mapping[str, Any]) -> list[str]:
    """Names without folders: these say nothing to others."""
    return [PurePath(str(file["path"])).name for group in files.values() for file in group]


def _versions(provenance: Mapping[str, Any]) -> dict[str, str]:
    versions = provenance.get("versions") or {}
    return {name: str(version) for name, version in versions.items()}


def _yaml_text(content: dict[str, Any]) -> str:
    stream = StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False
    writer.width = 1000
    writer.dump(content, stream)
    return stream.getvalue().strip()
