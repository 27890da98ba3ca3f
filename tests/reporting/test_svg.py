"""The shorter SVG text is the same picture."""

import re

import numpy as np
import pytest

from cherenkov_mlops.reporting.svg import shrink_svg


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ('<g>\n  <g id="unused"/>\n</g>', "<g><g/></g>"),
        ('<path d="M 1.23456 2 \nL 1.23456 7.5 \nL 9 7.5 \nz\n"/>', '<path d="M1.23 2V7.5H9z"/>'),
        ('<path d="M 0 1.5 \nC 0.123456 1 2 3 4 5 \n"/>', '<path d="M0 1.5C0.12 1 2 3 4 5"/>'),
        (
            '<defs><path id="m1"/></defs><use xlink:href="#m1" x="1.234"/>',
            '<defs><path id="m1"/></defs><use href="#m1" x="1.2"/>',
        ),
        (
            '<use href="#a" x="1" style="fill: red; stroke: red"/>\n'
            '<use href="#a" x="2" style="fill: red; stroke: red"/>',
            '<g style="fill:red;stroke:red"><use href="#a" x="1"/><use href="#a" x="2"/></g>',
        ),
        ('<text transform="rotate(-0 1 2)">12.3456</text>', "<text>12.3456</text>"),
        ('<rect x="-0.0001" y="3.0000"/>', '<rect x="0" y="3"/>'),
    ],
)
def test_each_saving(long, short):
    assert shrink_svg(long) == short


def test_a_long_curve_keeps_its_points_to_a_twentieth():
    points = [(x / 7, 9 * x + x * x / 7) for x in range(50)]
    path = "M 0 0 \n" + " \n".join(f"L {x:.6f} {y:.6f}" for x, y in points[1:])
    short = shrink_svg(f'<path d="{path}"/>')
    found = np.array([pair.split() for pair in re.findall(r"[ML]([\d. ]+)", short)], float)
    assert np.abs(found - points).max() <= 0.051
    assert len(short) < 0.7 * len(path)
