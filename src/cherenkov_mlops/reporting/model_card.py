"""The model card: what others must know who find the model, in the format of Hugging Face."""

from pathlib import PurePath
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from cherenkov_mlops.metrics import Metric, metrics_of
from cherenkov_mlops.reporting.data_section import LABELS
from cherenkov_mlops.reporting.notices import find_notices
from cherenkov_mlops.reporting.sections import yaml_text
from cherenkov_mlops.reporting.tables import MISSING, format_measured, format_number
from cherenkov_mlops.results import Counts, Measured, Results, TaskResults
from cherenkov_mlops.tasks import TASKS

_MODES = {"mono": "the images of one telescope", "stereo": "the images of all telescopes"}


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
    tasks = [TASKS[name] for name in run.tasks]
    classes, data = run.run.classes, run.data
    engine = run.facts.get("engine")
    facts = [["What computed the predictions.", str(engine)]] if engine else []
    for entry in metrics_of("generic").values():
        value = run.facts.get(entry.name)
        if isinstance(value, int | float) and np.isfinite(value):
            facts.append([entry.text, f"{format_number(value)} {entry.unit}".strip()])
    # The largest set of test events: tasks without background are tested without.
    tested = [task.test for task in run.tasks.values() if task.test]
    test = max(tested, key=lambda counts: counts.total, default=None)
    sets = {"train": data.train, "validation": data.validation, "test": test}
    files = (data.files or {}).values()
    return {
        "head": yaml_text(card_metadata(run), width=1000).strip(),
        "run": run.run,
        "title": run.run.title or run.run.name,
        "what": _join([task.title for task in tasks]),
        "needs_background": any(task.needs_background for task in tasks),
        "answer": "; ".join(task.answer for task in tasks),
        "input": _MODES.get(run.run.mode or "", "telescope images"),
        "classes": [classes.get(name, name) for name in ("signal", "background")],
        "counts": [
            [name, *(format_number(getattr(counts or Counts(), label)) for label in LABELS)]
            for name, counts in sets.items()
        ],
        # Names without folders: these say nothing to others.
        "files": [PurePath(str(file["path"])).name for group in files for file in group],
        "cuts": [cut.cut for cut in (data.cuts or [])[1:]],
        "tables": [
            {
                "title": task.title if len(tasks) > 1 else "",
                "has_classes": task.needs_background,
                "rows": [
                    _metric_row(run.tasks[task.name], entry)
                    for entry in metrics_of(task.kind).values()
                ],
            }
            for task in tasks
        ],
        "facts": facts,
        "settings": run.evaluation.model_dump(exclude_none=True),
        "notices": [notice.text for notice in find_notices(run)],
        "model": run.model.name or MISSING,
        "versions": run.provenance.versions or {},
    }


def card_metadata(run: Results) -> dict[str, Any]:
    """The YAML head: licence, library, tags, and the results of each task as a ``model-index``."""
    results, keys = [], []
    for name, part in run.tasks.items():
        task = TASKS[name]
        known = [
            entry
            for entry in metrics_of(task.kind).values()
            if entry.better != "none" and np.isfinite(part.value(entry.name))
        ]
        keys += [entry.name for entry in known if entry.key]
        results.append(
            {
                "task": {"type": task.pipeline_tag, "name": task.title},
                "dataset": {
                    "type": "dl1-hdf5",
                    "name": "simulated Cherenkov-telescope images (DL1)",
                    "split": "test",
                    # Which events were tested, so that two cards can be compared.
                    "revision": str(part.test_digest or "")[:16],
                },
                "metrics": [
                    {
                        "type": entry.name,
                        "name": entry.text.rstrip("."),
                        "value": float(f"{part.value(entry.name):.6g}"),
                        "verified": False,
                    }
                    for entry in known
                ],
            }
        )
    return {
        # To be chosen by whoever publishes the model: it is theirs.
        "license": "unknown",
        "library_name": "keras",
        "tags": ["cherenkov-telescopes", "gamma-ray-astronomy", "ctlearn", *run.tasks],
        "pipeline_tag": results[0]["task"]["type"],
        "metrics": keys,
        "model-index": [{"name": run.run.name, "results": results}],
    }


def _metric_row(task: TaskResults, entry: Metric) -> list[str]:
    stored = task.metrics.get(entry.name, Measured())
    value, interval = format_measured(stored.value, stored.low, stored.high)
    good = {"higher": "high", "lower": "low", "zero": "near zero"}.get(entry.better, MISSING)
    return [f"`{entry.name}`", value, interval or MISSING, entry.unit, good, entry.text]


def _join(titles: list[str]) -> str:
    first, *others = titles
    return ", ".join([first, *(title.lower() for title in others)])
