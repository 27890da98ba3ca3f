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

_NUMBER = re.compile(r"-?\d+\.\d{2,}(?:e[-+]?\d+)?")
#: Points of a path that is a curve and not a symbol.
_LONG = 12
_GEOMETRY = re.compile(r'\b(?:d|x|y|width|height|transform|points)="[^"]*"')
_FONT = re.compile(r"font-family: [^;\"]*;? ?")
_EQUAL_MARKERS = re.compile(
    r'<use (?P<first>[^>]*?) style="(?P<style>[^"]*)"/>'
    r'(?P<others>(?:<use [^>]*? style="(?P=style)"/>)+)'
)


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


def shrink_svg(text: str) -> str:
    """Shorten Matplotlib's SVG text to less than half, without what a page does not need."""
    text = re.sub(r">\s*\n\s*<", "><", text)
    text = _GEOMETRY.sub(_shorten_geometry, text)
    text = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", text)
    text = text.replace("xlink:href=", "href=")
    text = _FONT.sub("", text)
    text = _drop_unused_ids(text)
    text = re.sub(r'style="[^"]*"', lambda style: re.sub("([:;,]) ", r"\1", style[0]), text)
    return _EQUAL_MARKERS.sub(_share_style, text)


def _shorten_geometry(attribute: re.Match) -> str:
    text = attribute[0]
    # Points of a long path may be off by a twentieth of a point; the arcs of a marker may not.
    decimals = 1 if text.count("L") > _LONG or not text.startswith("d=") else 2
    text = _NUMBER.sub(lambda number: _shorten_number(number[0], decimals), text)
    return f'd="{_shorten_path(text[3:-1])}"' if text.startswith("d=") else text


def _shorten_number(number: str, decimals: int) -> str:
    text = f"{float(number):.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _shorten_path(path: str) -> str:
    """The path with one-coordinate commands for horizontal and vertical steps."""
    commands, here = [], None
    for letter, numbers in re.findall(r"([A-Za-z])\s*([^A-Za-z]*)", path):
        point = tuple(numbers.split()[-2:])
        if letter == "L" and here and point[0] == here[0]:
            commands.append(f"V{point[1]}")
        elif letter == "L" and here and point[1] == here[1]:
            commands.append(f"H{point[0]}")
        else:
            commands.append(letter + " ".join(numbers.split()))
        here = point or None
    return "".join(commands)


def _drop_unused_ids(text: str) -> str:
    used = set(re.findall(r'(?:href="|url\()#([^")]*)', text))
    return re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", text)


def _share_style(markers: re.Match) -> str:
    style = f' style="{markers["style"]}"'
    others = markers["others"].replace(style, "")
    return f"<g{style}><use {markers['first']}/>{others}</g>"
