"""Figures of the events that a run trains on; not in the registry, as no test makes them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cherenkov_mlops.figures.base import ENERGY_AXIS, FigureEntry
from cherenkov_mlops.figures.style import PALETTE

_LINE_STYLES = ("-", "--")
#: Height of a bin without events on a logarithmic axis, where zero has no place.
_NOTHING = 0.5
_MAX_TICKS = 24


def draw_counts(
    ax: Axes, edges: Any, counts: Mapping[str, Mapping[str, Any]], lowest: float = 0.0
) -> None:
    """Draw histograms of each class: filled those left by the cuts, as a dotted line all.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    edges : sequence of float
        Edges of the bins.
    counts : mapping of str to mapping
        ``all`` and ``kept`` -> name of the class -> counts.
    lowest : float
        Where bins without events are drawn.
    """
    for index, name in enumerate(counts["all"]):
        color, line = PALETTE[index % len(PALETTE)], _LINE_STYLES[index % 2]
        before, after = (np.asarray(counts[kind][name], float) for kind in ("all", "kept"))
        if not before.sum():
            continue
        ax.stairs(
            np.maximum(before, lowest),
            edges,
            color=color,
            linewidth=1.2,
            linestyle=":",
            label=f"{name}: all, N = {before.sum():,.0f}",
        )
        filled = np.maximum(after, lowest)
        label = f"{name}: after the cuts, N = {after.sum():,.0f}"
        ax.stairs(filled, edges, color=color, linewidth=1.8, linestyle=line, label=label)
        ax.stairs(filled, edges, fill=True, color=color, alpha=0.12)


def _draw_energy(ax: Axes, *, edges, label, style, **counts) -> None:
    """True energies of the simulated events in the files, and of those left by the cuts.

    The classes should cover the same energies: where one is missing, a classifier may learn the
    energy in place of the particle.
    """
    draw_counts(ax, edges, counts, _NOTHING)


def _draw_core(ax: Axes, *, edges, label, style, **counts) -> None:
    """Distance of the shower core from the centre of the array, on the ground.

    A fall well before the end of the axis says that cores were thrown far enough.
    """
    draw_counts(ax, edges, counts)


def _draw_offset(ax: Axes, *, edges, label, style, **counts) -> None:
    """Angle between the true direction and the pointing of the telescope.

    A point source fills one bin; diffuse showers fill the cone that they were thrown from. The
    classes should have the same shape, or a classifier may learn the direction.
    """
    draw_counts(ax, edges, counts)


def _draw_intensity(ax: Axes, *, edges, label, style, **counts) -> None:
    """Charge of each image in the pixels that the cleaning keeps (hillas_intensity).

    Images that the cleaning leaves empty have none and are missing here.
    """
    draw_counts(ax, edges, counts, _NOTHING)


def _draw_telescopes(ax: Axes, *, telescope, label, style, **counts) -> None:
    """Images of each telescope in use, and those left by the cuts.

    A telescope far below the others may have been off in some runs.
    """
    draw_counts(ax, np.arange(len(telescope) + 1) - 0.5, counts)
    step = -(-len(telescope) // _MAX_TICKS)
    places = range(0, len(telescope), step)
    ax.set_xticks(places, [str(telescope[place]) for place in places])
    ax.grid(False, axis="x")


def _entry(name: str, draw: Any, title: str, axes: dict[str, Any]) -> FigureEntry:
    return FigureEntry(
        name=f"data_{name}",
        draw=draw,
        kind="data",
        title=title,
        data=dict,
        # A legend below, where it hides no bin.
        overlay=False,
        axes=axes,
    )


_LOG_COUNTS = {"yscale": "log"}
DATA_FIGURES = [
    _entry("energy", _draw_energy, "Energies", ENERGY_AXIS | {"ylabel": "Events"} | _LOG_COUNTS),
    _entry(
        "intensity",
        _draw_intensity,
        "Intensities",
        {"xlabel": "Intensity [p.e.]", "xscale": "log", "ylabel": "Images"} | _LOG_COUNTS,
    ),
    _entry(
        "core",
        _draw_core,
        "Core distances",
        {"xlabel": "Distance of the core [m]", "ylabel": "Events"},
    ),
    _entry(
        "offset",
        _draw_offset,
        "Directions",
        {"xlabel": "Angle to the pointing [deg]", "ylabel": "Events"},
    ),
    _entry(
        "telescopes",
        _draw_telescopes,
        "Images of each telescope",
        {"xlabel": "Telescope", "ylabel": "Images"},
    ),
]
