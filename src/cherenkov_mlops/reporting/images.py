"""Camera images of the example events, drawn from the results alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.collections import PolyCollection
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cherenkov_mlops.figures.style import INK, PALETTE, RC_PARAMS
from cherenkov_mlops.reporting.svg import figure_svg
from cherenkov_mlops.reporting.tables import format_number
from cherenkov_mlops.reporting.views import TaskView
from cherenkov_mlops.results import Examples

KINDS = {
    "best": ("Best", "the smallest errors"),
    "typical": ("Typical", "errors nearest to the median"),
    "worst": ("Worst", "the largest errors"),
}
#: Few colours and hard edges make small pictures.
_N_COLORS = 48
_INCHES = (3.1, 2.6)
#: Faint pixels at the rim of a shower stay visible beside its core.
_COLOR_POWER = 0.5
_DPI = 150
#: Corners of a pixel and the angle of the first one [deg], by shape.
_CORNERS = {"hexagon": (6, 90.0), "square": (4, 45.0)}
#: Positions farther out than this many camera radii are not drawn.
_MAX_RADII = 1.5
_MARKS = (("true", "o", PALETTE[2], "true direction"), ("reco", "X", PALETTE[1], "predicted"))


@dataclass(frozen=True)
class Example:
    """One image with what is known about its event.

    Parameters
    ----------
    kind : str
        ``best``, ``typical`` or ``worst``.
    title : str
        Particle and energy.
    svg : Markup
        The picture.
    facts : list of (str, str)
        Name and value.
    """

    kind: str
    title: str
    svg: Markup
    facts: list[tuple[str, str]]


def example_groups(view: TaskView, prefix: str = "") -> list[dict[str, Any]]:
    """Title, meaning and images of each kind that the run has; ``prefix`` is put before ids."""
    found = view.part.examples or Examples()
    cameras = {
        name: camera.model_dump()
        for name, camera in (found.cameras or {}).items()
        if None not in camera.model_dump().values()
    }
    examples = [
        _example(view, f"{prefix}example-{number}", event.model_dump(), cameras[event.camera])
        for number, event in enumerate(found.events or [])
        if event.camera in cameras
    ]
    groups = [
        {
            "title": title,
            "meaning": meaning,
            "examples": [item for item in examples if item.kind == kind],
        }
        for kind, (title, meaning) in KINDS.items()
    ]
    return [group for group in groups if group["examples"]]


def _example(view: TaskView, name: str, event: dict[str, Any], camera: dict[str, Any]) -> Example:
    particle = view.run.classes.get("signal" if event["signal"] else "background", "event")
    title = f"{particle}, {format_number(event['values'].get('true_energy'), 3)} TeV"
    task = view.task
    facts = [
        *(
            (words, _in_words(numbers, unit))
            for words, numbers, unit in task.shown(event["values"])
        ),
        (task.error_title, _in_words([event["error"]], task.error_unit)),
        ("Charge", f"{sum(event['image']):,.0f} p.e."),
        ("Run, event", f"{event['obs_id']}, {event['event_id']}"),
        ("Telescope", str(event["tel_id"])),
    ]
    spoken = "; ".join(f"{key}: {value}" for key, value in facts)
    alt_text = f"Camera image of a {event['kind']} event, {title}. {spoken}."
    svg = figure_svg(draw_camera(camera, event), name, alt_text, dpi=_DPI)
    return Example(kind=event["kind"], title=title, svg=svg, facts=facts)


def _in_words(numbers: Sequence[float | None], unit: str) -> str:
    """Numbers of an event with their unit; several angles with the degrees at each."""
    if len(numbers) == 1:
        return f"{format_number(numbers[0], 3)} {unit}".strip()
    known = [number for number in numbers if number is not None]
    if unit == "deg":
        return ", ".join(f"{number:.2f}°" for number in known)
    return f"{', '.join(format_number(number, 3) for number in known)} {unit}".strip()


def draw_camera(camera: dict[str, Any], event: dict[str, Any]) -> Figure:
    """The pixels in their places, coloured by charge [p.e.], as the camera is seen from the sky.

    True and reconstructed direction are marked where the event has them.
    """
    with matplotlib.rc_context(RC_PARAMS):
        page = Figure(figsize=_INCHES)
        page.set_layout_engine("constrained")
        ax = page.add_subplot()
        image = np.asarray(event["image"], float)
        norm = PowerNorm(_COLOR_POWER, vmin=0, vmax=max(float(image.max()), 1.0), clip=True)
        pixels = PolyCollection(
            pixel_corners(camera),
            array=image,
            cmap=colormaps["viridis"].resampled(_N_COLORS),
            norm=norm,
            antialiased=False,
            linewidth=0.2,
            edgecolor="face",
            rasterized=True,
        )
        ax.add_collection(pixels)
        bar = page.colorbar(pixels, ax=ax, shrink=0.86, aspect=24, pad=0.02)
        # Ticks above the largest charge would be drawn at the end, with a wrong number.
        bar.set_ticks(
            [tick for tick in MaxNLocator(5).tick_values(0, norm.vmax) if tick <= norm.vmax]
        )
        bar.ax.set_title("p.e.")
        bar.outline.set_visible(False)
        bar.solids.set_rasterized(True)
        radius = np.hypot(camera["x"], camera["y"]).max()
        _mark_directions(page, ax, event, radius)
        ax.margins(0.01)
        ax.set_aspect("equal")
        ax.autoscale_view()
        ax.axis("off")
    return page


def pixel_corners(camera: dict[str, Any]) -> np.ndarray:
    """Corners of each pixel [m], shape ``(pixels, corners, 2)``; regular polygons of its area."""
    n_corners, first = _CORNERS.get(camera["shape"], _CORNERS["square"])
    angles = np.radians(first + camera["rotation_deg"] + 360 / n_corners * np.arange(n_corners))
    # Area of a regular polygon of circumradius R: n R^2 sin(2 pi/n) / 2.
    radius = np.sqrt(2 * camera["area"] / (n_corners * np.sin(2 * np.pi / n_corners)))
    corners = radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    return np.stack([camera["x"], camera["y"]], axis=-1)[:, None, :] + corners[None]


def _mark_directions(page: Figure, ax: Any, event: dict[str, Any], radius: float) -> None:
    marks = []
    for name, marker, color, label in _MARKS:
        if name in event and np.hypot(*event[name]) < _MAX_RADII * radius:
            (mark,) = ax.plot(
                *event[name],
                marker=marker,
                markersize=9,
                markerfacecolor=color,
                markeredgecolor="white",
                linestyle="none",
                label=label,
            )
            marks.append(mark)
    if marks:
        page.legend(handles=marks, loc="outside lower center", ncols=2, labelcolor=INK)
