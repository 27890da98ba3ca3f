"""Rates as people write them."""

import math
import re

from cherenkov_mlops.errors import UserError

_RATE = re.compile(r"(?P<number>[0-9.eE+-]+)\s*(?P<unit>[a-zA-Z]*)")
_UNITS = {"": 1.0, "hz": 1.0, "khz": 1e3, "mhz": 1e6}


def parse_rate(text: str, where: str) -> float:
    """Read the rate [1/s] of a text such as ``1kHz``, ``1.5 kHz`` or ``1000``.

    Raises
    ------
    UserError
        It is none, or not above zero; ``where`` says where it was written.
    """
    found = _RATE.fullmatch(text.strip())
    factor = _UNITS.get(found["unit"].lower()) if found else None
    try:
        rate = float(found["number"]) * factor if factor else math.nan
    except ValueError:
        rate = math.nan
    if not (math.isfinite(rate) and rate > 0):
        raise UserError(f"{where}: expected a rate above zero, as 1kHz, 1.5kHz or 1000, got {text}")
    return rate
