"""Camera images of the example events, drawn from the results alone."""

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
from cherenkov_mlops.reporting.views import RunView

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
_ERRORS = {
    "type": ("Distance from the truth", ""),
    "energy": ("|ln(predicted/true)|", ""),
    "direction": ("Angular error", "deg"),
}
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


def example_groups(view: RunView) -> list[dict[str, Any]]:
    """Title, meaning and images of each kind that the run has."""
    examples = [
        _example(view, number, event)
        for number, event in enumerate(view.results.examples.get("events", []))
        if event["camera"] in view.results.examples.get("cameras", {})
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


def _example(view: RunView, number: int, event: dict[str, Any]) -> Example:
    classes = view.run["classes"]
    name = classes.get("signal" if event["signal"] else "background", "event")
    energy = format_number(event["values"].get("true_energy"), 3)
    title = f"{name}, {energy} TeV"
    facts = _facts(view, event)
    spoken = "; ".join(f"{key}: {value}" for key, value in facts)
    page = draw_camera(view.results.examples["cameras"][event["camera"]], event)
    alt_text = f"Camera image of a {event['kind']} event, {title}. {spoken}."
    return Example(
        kind=event["kind"],
        title=title,
        svg=figure_svg(page, f"example-{number}", alt_text, dpi=_DPI),
        facts=facts,
    )


def _facts(view: RunView, event: dict[str, Any]) -> list[tuple[str, str]]:
    values = event["values"]
    label, unit = _ERRORS[view.kind]
    facts = {
        "type": lambda: [("Gammaness", format_number(values.get("gh_score"), 3))],
        "energy": lambda: [
            ("True energy", f"{format_number(values.get('true_energy'), 3)} TeV"),
            ("Predicted energy", f"{format_number(values.get('reco_energy'), 3)} TeV"),
        ],
        "direction": lambda: [
            ("True alt, az", _direction(values, "true")),
            ("Predicted alt, az", _direction(values, "reco")),
        ],
    }[view.kind]()
    error = f"{format_number(event['error'], 3)} {unit}".strip()
    return [
        *facts,
        (label, error),
        ("Charge", f"{sum(event['image']):,.0f} p.e."),
        ("Run, event", f"{event['obs_id']}, {event['event_id']}"),
        ("Telescope", str(event["tel_id"])),
    ]


def _direction(values: dict[str, float], kind: str) -> str:
    return ", ".join(
        f"{values[name]:.2f}°" for name in (f"{kind}_alt", f"{kind}_az") if name in values
    )


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
