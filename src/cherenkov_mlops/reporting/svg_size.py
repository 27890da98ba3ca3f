"""Matplotlib's SVG text without what a page does not need: less than half as long."""

import re

_NUMBER = re.compile(r"-?\d+\.\d{2,}(?:e[-+]?\d+)?")
#: Points of a path that is a curve and not a symbol.
_LONG = 12
_GEOMETRY = re.compile(r'\b(?:d|x|y|width|height|transform|points)="[^"]*"')
_FONT = re.compile(r"font-family: [^;\"]*;? ?")
_EQUAL_MARKERS = re.compile(
    r'<use (?P<first>[^>]*?) style="(?P<style>[^"]*)"/>'
    r'(?P<others>(?:<use [^>]*? style="(?P=style)"/>)+)'
)


def shrink_svg(text: str) -> str:
    """The SVG text with short numbers, shared styles, and no ids that nothing refers to."""
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
