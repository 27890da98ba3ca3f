"""What results lack of the registered metrics and figures, or hold in another shape.

What their sections look like, `cherenkov_mlops.results` checks when it reads them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from cherenkov_mlops.errors import UserError
from cherenkov_mlops.figures import figure_data, figures_of
from cherenkov_mlops.metrics import EvaluationSettings, metrics_of
from cherenkov_mlops.metrics.cost import MEASURED_ON_REQUEST
from cherenkov_mlops.results import Gap, Results
from cherenkov_mlops.tasks import TASKS
from cherenkov_mlops.tasks.base import task_of_kind

_MAX_NAMED = 3
_N_SAMPLE = 120


def mend(run: Results) -> tuple[Results, list[Gap]]:
    """Copy the results without what cannot be shown, and say what is missing in them.

    Returns
    -------
    results : Results
        Facts are numbers where they are to be, figures have the arrays that they are drawn from.
    gaps : list of Gap
        Those that were found when the results were read, and those of the registries.
    """
    gaps = list(run.gaps)
    # What a model does not have, such as layers, is no gap.
    optional = {*MEASURED_ON_REQUEST, *(run.facts.get("without") or [])}
    needed = [name for name in metrics_of("generic") if name not in optional]
    facts = dict(run.facts)
    for name in metrics_of("generic"):
        if name in facts and not _is_number(facts[name]):
            value = facts.pop(name)
            if value is not None:
                gaps.append(Gap(("facts", name), f"expected a number, got {value!r}"))
                continue
        if name in needed and name not in facts and run.facts:
            gaps.append(Gap(("facts", name), "is missing"))
    if not run.facts:
        gaps.append(Gap(("facts",), "is missing"))
    gaps += _absent(run.metrics, needed, ("metrics",))

    figures, found = _check_figures(run.figures, "generic", ())
    gaps += found
    tasks = {}
    for name, task in run.tasks.items():
        place, kind = ("tasks", name), TASKS[name].kind
        for section in ("metrics", "replicates"):
            gaps += _absent(getattr(task, section), metrics_of(kind), (*place, section))
        drawn, found = _check_figures(task.figures, kind, place)
        gaps += found
        tasks[name] = task.model_copy(update={"figures": drawn})
    # A value that was taken out when the file was read is missing for that reason.
    first = list({gap.path: gap for gap in reversed(gaps)}.values())[::-1]
    mended = run.model_copy(update={"facts": facts, "figures": figures, "tasks": tasks})
    return mended, first


def refuse_gaps(gaps: Sequence[Gap], label: str) -> None:
    """Raise UserError with one line if something is missing."""
    if not gaps:
        return
    named = "; ".join(str(gap) for gap in gaps[:_MAX_NAMED])
    more = f"; and {len(gaps) - _MAX_NAMED} more" if len(gaps) > _MAX_NAMED else ""
    raise UserError(
        f"run '{label}': expected complete results, got {named}{more}; test the run again, "
        "or leave out --strict to see what is there"
    )


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
    )


def _absent(section: Mapping, names: Iterable[str], path: tuple[str, ...]) -> Iterator[Gap]:
    """Find entries that a section lacks; one that is empty as a whole is one gap."""
    if not section:
        yield Gap(path, "is missing")
        return
    yield from (Gap((*path, name), "is missing") for name in names if name not in section)


def _check_figures(
    figures: Mapping[str, Any], kind: str, place: tuple[str, ...]
) -> tuple[dict[str, Any], list[Gap]]:
    """Split the figures of a kind into those that can be drawn and what is wrong with others.

    Arrays are compared with a sample made by the figure's own function: Matplotlib draws words
    where numbers should be without complaint.
    """
    good, gaps = {}, []
    for name in figures_of(kind):
        path = (*place, "figures", name)
        arrays = figures.get(name)
        if name not in figures:
            gaps.append(Gap(path, "is missing"))
        elif not isinstance(arrays, Mapping):
            gaps.append(Gap(path, f"expected a table, got {_name(arrays)}"))
        elif not arrays:
            # Nothing to draw, and nothing lost.
            good[name] = arrays
        else:
            has_holes = any(values == [] for values in arrays.values())
            found = [
                Gap(
                    (*path, key),
                    f"expected {_name(sample)}, got {_name(arrays[key])}"
                    if key in arrays
                    else "is missing",
                )
                for key, sample in sample_figures(kind)[name].items()
                if key not in arrays or not _is_alike(arrays[key], sample, has_holes)
            ]
            gaps += found
            if not found:
                good[name] = arrays
    return good, gaps


@cache
def sample_figures(kind: str) -> dict[str, dict[str, Any]]:
    """Arrays of each figure of a kind, made from events that are drawn at random."""
    settings = EvaluationSettings(n_bootstrap=3)
    if kind == "generic":
        columns = ("loss", "val_loss", "accuracy", "val_accuracy", "learning_rate", "seconds")
        history = {"epoch": [1, 2]} | {name: [0.5, 0.4] for name in columns}
        training = {"history": history, "best_epoch": 2, "attempts": [1, 2]}
        return figure_data(training, "generic", settings)
    task, random = task_of_kind(kind), np.random.default_rng(0)
    place = np.arange(_N_SAMPLE)
    events = {
        "obs_id": place,
        "event_id": place,
        "signal": place % 2 == 0,
        "true_energy": np.full(_N_SAMPLE, 1.1),
        **{f"{name}_alt": 70 + random.random(_N_SAMPLE) for name in ("true", "pointing")},
        **{f"{name}_az": 10 + random.random(_N_SAMPLE) for name in ("true", "pointing")},
    }
    return figure_data(events | task.sample(random, _N_SAMPLE), kind, settings)


def _is_alike(value: Any, sample: Any, has_holes: bool) -> bool:
    """Whether the kinds agree; a single value may be unknown where the arrays are empty."""
    if sample is None:
        return True
    if _is_unknown(value):
        return has_holes and not isinstance(sample, list | dict)
    if isinstance(sample, dict) or isinstance(value, dict):
        return isinstance(sample, dict) and isinstance(value, dict)
    if isinstance(sample, list) != isinstance(value, list):
        return False
    kinds, wanted = set(_leaf_kinds(value)), set(_leaf_kinds(sample))
    return not kinds or not wanted or kinds <= wanted


def _leaf_kinds(value: Any) -> list[str]:
    if isinstance(value, list):
        return [kind for item in value for kind in _leaf_kinds(item)]
    if isinstance(value, dict):
        return ["table"]
    if _is_unknown(value):
        return []
    if isinstance(value, bool):
        return ["truth"]
    return ["text"] if isinstance(value, str) else ["number"]


def _is_unknown(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _name(value: Any) -> str:
    if _is_unknown(value):
        return "nothing"
    kinds = sorted(set(_leaf_kinds(value)))
    if isinstance(value, list):
        return f"a list of {' and '.join(kinds) or 'nothing'}"
    return "a table" if isinstance(value, Mapping) else f"a {kinds[0]}"
