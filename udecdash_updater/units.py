"""Bytes and seconds as commands and the log write them."""

from __future__ import annotations

_UNITS = ("B", "KB", "MB", "GB", "TB")
_STEP = 1000
_MINUTE = 60


def size(count: float) -> str:
    """Bytes as a person reads them.

    >>> size(0), size(999), size(12_345), size(4_200_000_000)
    ('0 B', '999 B', '12.3 KB', '4.2 GB')
    """
    place = 0
    while count >= _STEP and place < len(_UNITS) - 1:
        count, place = count / _STEP, place + 1
    return f"{count:.1f} {_UNITS[place]}" if place else f"{count:.0f} B"


def duration(seconds: float) -> str:
    """Seconds as a person reads them.

    >>> duration(7.25), duration(65), duration(7300), duration(200_000)
    ('7.2 s', '1 min 5 s', '2 h 1 min', '2 d 7 h')
    """
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
