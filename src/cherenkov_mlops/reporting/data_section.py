"""The events of a run: how many, of which class and energy, and what the cuts left."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cherenkov_mlops.figures import FigureEntry
from cherenkov_mlops.figures.base import ENERGY_AXIS
from cherenkov_mlops.figures.style import PALETTE
from cherenkov_mlops.reporting.figure_blocks import Block, make_block
from cherenkov_mlops.reporting.tables import MISSING, format_number
from cherenkov_mlops.reporting.views import RunView
from cherenkov_mlops.results import LEVELS, Finding
from cherenkov_mlops.tasks import TASKS

LABELS = ("signal", "background")
_MAX_SHOWN = 4


def data_section(views: Sequence[RunView]) -> list[dict[str, Any]]:
    """For each run: its classes, numbers of events of each set, and after each cut."""
    return [_data_of_run(view) for view in views]


def _data_of_run(view: RunView) -> dict[str, Any]:
    data, tasks = view.results.data, view.results.tasks
    sets = {"train": data.train, "validation": data.validation}
    # Tasks that are learnt without background are tested without: then each has a row.
    tests = {name: task.test for name, task in tasks.items() if task.test}
    alike = len({(counts.signal, counts.background) for counts in tests.values()}) == 1
    for name, counts in tests.items():
        sets["test" if alike else f"test: {TASKS[name].title}"] = counts
    numbers = {name: counts.model_dump() for name, counts in sets.items() if counts}
    cuts = [(cut.cut, cut.model_dump()) for cut in data.cuts or []]
    present = [
        name
        for name in LABELS
        if any(each.get(name) for each in [*numbers.values(), *dict(cuts).values()])
    ]
    invalid = [task.n_invalid for task in tasks.values() if task.n_invalid is not None]
    return {
        "view": view,
        "classes": [view.run.classes.get(name, name) for name in present],
        "sets": [_count_row(name, each, present) for name, each in numbers.items()],
        "cuts": _cut_rows(cuts, present),
        "simulation": [simulation_row(item.model_dump()) for item in data.simulation],
        "findings": sorted_findings(data.findings),
        # Of the task with most rows: the others leave out whole classes.
        "n_invalid": format_number(max(invalid, default=None)),
        "digest": next((task.test_digest or "" for task in tasks.values()), ""),
    }


def _count_row(name: str, numbers: dict[str, Any], labels: list[str]) -> dict[str, Any]:
    counts = [numbers.get(label) or 0 for label in labels]
    total = max(sum(counts), 1)
    return {
        "name": name,
        "counts": [format_number(count) for count in counts],
        "shares": [100 * count / total for count in counts],
    }


def _cut_rows(cuts: Sequence[tuple[str, dict[str, int]]], labels: list[str]) -> list[dict]:
    """Numbers left after each cut, and their share of those before the first one."""
    rows = []
    for name, numbers in cuts:
        cells = []
        for label in labels:
            first, left = cuts[0][1].get(label, 0), numbers.get(label, 0)
            share = 100 * left / first if first else 0.0
            cells.append({"count": format_number(left), "share": share})
        rows.append({"name": name, "cells": cells})
    return rows


def sorted_findings(findings: Sequence[Finding]) -> list[Finding]:
    """What the checks of the files found, the worst first."""
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))


def simulation_row(item: dict[str, Any]) -> dict[str, str]:
    """What was thrown for one class, as text; different settings stand side by side."""
    productions = item["productions"] if item["has_showers"] else []
    zeniths = dict.fromkeys(f"{zenith:g}" for zenith, _ in item["pointings"])
    azimuths = dict.fromkeys(f"{azimuth:g}" for _, azimuth in item["pointings"])

    def each(text: Callable[[dict[str, Any]], str]) -> str:
        return _join(dict.fromkeys(text(production) for production in productions), "; ")

    return {
        "label": item["label"],
        "name": item["name"],
        "particles": _join(f"{name} ({n:,})" for name, n in item["particles"].items()),
        "index": each(lambda thrown: f"{thrown['spectral_index']:g}"),
        "energies": each(lambda t: f"{t['energy_min_tev']:g} to {t['energy_max_tev']:g}"),
        "cone": each(lambda thrown: _cone(*thrown["viewcone_deg"])),
        "radius": each(lambda thrown: f"{thrown['scatter_radius_m']:g}"),
        "thrown": format_number(sum(thrown["n_thrown"] for thrown in productions) or None),
        "zenith": _join(zeniths),
        "azimuth": _join(azimuths),
        "files": format_number(item["n_files"]),
        "showers": format_number(item["n_showers"]),
    }


def _cone(inner: float, outer: float) -> str:
    if not outer:
        return "point"
    return f"{inner:g} to {outer:g}" if inner else f"up to {outer:g}"


def _join(texts: Iterable[str], separator: str = ", ") -> str:
    known = list(texts)
    shown = separator.join(known[:_MAX_SHOWN])
    more = len(known) - _MAX_SHOWN
    return (f"{shown}, … ({len(known)} in all)" if more > 0 else shown) or MISSING


def spectra_block(views: Sequence[RunView]) -> Block | None:
    """True energies of the training events of each class; None if no run knows them."""
    drawn = [(view, _spectra(view)) for view in views]
    drawn = [(view, arrays) for view, arrays in drawn if arrays]
    return make_block(SPECTRA, drawn) if drawn else None


def _spectra(view: RunView) -> dict[str, Any]:
    edges = view.results.data.energy_edges_tev or []
    counts = {
        view.run.classes.get(label, label): numbers
        for label, numbers in (view.results.data.energy or {}).items()
        if len(numbers) == len(edges) - 1
    }
    return {"edges": edges, "counts": counts} if counts else {}


def _draw_spectra(ax: Axes, *, edges, counts, label, style) -> None:
    """Training events in bins of true energy, after all cuts.

    The classes should cover the same energies: where one is missing, the network may learn the
    energy in place of the particle.
    """
    for index, (name, numbers) in enumerate(counts.items()):
        color = PALETTE[index % len(PALETTE)]
        # A bin without events has no place on a logarithmic axis.
        filled = np.maximum(np.asarray(numbers, float), 0.5)
        ax.stairs(
            filled, edges, color=color, linewidth=1.8, linestyle=("-", "--")[index % 2], label=name
        )
        ax.stairs(filled, edges, fill=True, color=color, alpha=0.12)


SPECTRA = FigureEntry(
    name="spectra",
    draw=_draw_spectra,
    kind="data",
    title="Energies of the training events",
    data=dict,
    overlay=False,
    axes=ENERGY_AXIS | {"ylabel": "Events", "yscale": "log"},
)
