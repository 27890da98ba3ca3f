"""Lengths of time as SLURM writes them."""

import re

from cherenkov_mlops.errors import UserError

_DURATION = re.compile(
    r"(?:(?P<days>\d+)-(?P<day_hours>\d+)(?::(?P<day_minutes>\d+)(?::(?P<day_seconds>\d+))?)?"
    r"|(?P<hours>\d+):(?P<hour_minutes>\d+):(?P<hour_seconds>\d+)"
    r"|(?P<minutes>\d+)(?::(?P<seconds>\d+))?)"
)
_UNITS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


def parse_duration(text: str, where: str = "--deadline") -> float:
    """Read a duration as SLURM writes it, in seconds; ``where`` it stands, for the message.

    Raises
    ------
    UserError
        The text is none, or is zero.

    Examples
    --------
    >>> parse_duration("90"), parse_duration("1:30:00"), parse_duration("2-12:00:00")
    (5400.0, 5400.0, 216000.0)
    """
    match = _DURATION.fullmatch(text.strip())
    parts = match.groupdict(default="0") if match else {}
    seconds = sum(
        int(value) * size
        for name, value in parts.items()
        for unit, size in _UNITS.items()
        if name.endswith(unit)
    )
    if not seconds:
        raise UserError(
            f"{where}: expected a time as hours:minutes:seconds, days-hours:minutes:seconds or "
            f"minutes, above zero, got '{text}'; write for example 11:30:00"
        )
    return float(seconds)


def format_duration(seconds: float) -> str:
    """Write a duration in SLURM's way, to the second.

    Examples
    --------
    >>> format_duration(5400), format_duration(216000)
    ('1:30:00', '2-12:00:00')
    """
    days, rest = divmod(round(seconds), 86400)
    clock = f"{rest // 3600}:{rest % 3600 // 60:02}:{rest % 60:02}"
    if days:
        return f"{days}-{clock.rjust(8, '0')}"
    return clock
