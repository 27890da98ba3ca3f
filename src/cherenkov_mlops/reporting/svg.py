"""Figures and mathematical symbols as SVG text to put into a page."""

import io
import re
from functools import cache

import matplotlib
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path as DrawnPath
from matplotlib.textpath import TextPath

from cherenkov_mlops.figures.style import FAINT, INK, PALETTE, RC_PARAMS
from cherenkov_mlops.reporting.svg_size import shrink_svg

#: Colour in a figure -> name of the page's variable that replaces it, so that it follows a theme.
VARIABLES = {INK: "--ink-f", FAINT: "--faint-f"} | {
    color: f"--run-{index}" for index, color in enumerate(PALETTE)
}
_RASTER_DPI = 160
_POINTS_AN_INCH = 72
#: Pixels of the page for one point of a figure, at most.
_MAX_SCALE = 1.45
_SYMBOL_SIZE = 100.0
_COMMANDS = {
    DrawnPath.MOVETO: "M",
    DrawnPath.LINETO: "L",
    DrawnPath.CURVE3: "Q",
    DrawnPath.CURVE4: "C",
    DrawnPath.CLOSEPOLY: "Z",
}


def figure_svg(figure: Figure, prefix: str, alt_text: str, dpi: int = _RASTER_DPI) -> Markup:
    """The figure as an ``<svg>`` element.

    Parameters
    ----------
    prefix : str
        Put before each id, so that several figures can stand in one page.
    alt_text : str
        Read out in place of the picture.
    dpi : int
        Resolution of what is rasterised.
    """
    stream = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context(RC_PARAMS):
        figure.savefig(stream, format="svg", dpi=dpi, metadata=nothing)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    # A style element inside an SVG would apply to the whole page.
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, count=1, flags=re.S)
    text = shrink_svg(text)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'href="#', f'href="#{prefix}-', text)
    text = re.sub(r"url\(#", f"url(#{prefix}-", text)
    for color in VARIABLES:
        text = text.replace(color, page_color(color))
    text = re.sub(r'(<svg [^>]*?)\swidth="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg [^>]*?)\sheight="[^"]*"', r"\1", text, count=1)
    # Wide figures would otherwise be blown up, and their letters with them.
    widest = _MAX_SCALE * _POINTS_AN_INCH * figure.get_figwidth()
    opening = f'<svg role="img" aria-label="{escape(alt_text)}" style="max-width:{widest:.0f}px" '
    return Markup(text.replace("<svg ", opening, 1))


def page_color(color: str) -> str:
    """The colour as the page's variable that stands for it."""
    return f"var({VARIABLES[color]})"


@cache
def symbol_html(symbol: str) -> Markup:
    """The symbol as text, or drawn as a path that needs no font if it is mathematical."""
    if "$" not in symbol:
        return escape(symbol)
    path = TextPath((0, 0), symbol, size=_SYMBOL_SIZE, prop=FontProperties(family="DejaVu Sans"))
    box = path.get_extents()
    view = f"{box.x0:.0f} {-box.y1:.0f} {box.width:.0f} {box.height:.0f}"
    size = f"height:{box.height / _SYMBOL_SIZE:.2f}em;vertical-align:{box.y0 / _SYMBOL_SIZE:.2f}em"
    spoken = re.sub(r"[\\${}]", "", symbol)
    return Markup(
        f'<svg class="symbol" role="img" aria-label="{escape(spoken)}" viewBox="{view}" '
        f'style="{size}"><path d="{_path_commands(path)}"/></svg>'
    )


def _path_commands(path: DrawnPath) -> str:
    commands = []
    for points, code in path.iter_segments(simplify=False):
        pairs = "" if code == DrawnPath.CLOSEPOLY else points.reshape(-1, 2) * (1, -1)
        numbers = " ".join(f"{x:.0f} {y:.0f}" for x, y in pairs)
        commands.append(_COMMANDS[code] + numbers)
    return "".join(commands)
