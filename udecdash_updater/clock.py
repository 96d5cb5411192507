"""UTC times of the log to the dashboard's local times (R5, R13), as texts and fast."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Final
from zoneinfo import ZoneInfo

# The lengths of a text that stops at the hour, at the minute; and how such a stretch begins and ends.
_STRETCHES: Final = {13: (":00:00", ":59:59"), 16: (":00", ":59")}
_MEMORY: Final = 100_000


class Clock:
    """The local time of one zone (an IANA name, else ZoneInfoNotFoundError); remembers the hours it met."""

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)
        self._stretches: dict[str, str] = {}

    def viewed(self, timestamp: str | None) -> str:
        """The local 'YYYY-MM-DD HH:MM:SS' of a UTC 'YYYY-MM-DD HH:MM:SS[.fff]', cut to the second.

        >>> Clock("America/Santiago").viewed("2021-03-01 00:00:00.999999")
        '2021-02-28 21:00:00'

        When summer time ends, two UTC hours fall on one local hour; when it begins, one is never seen:

        >>> [Clock("America/Santiago").viewed(f"2021-04-04 0{hour}:30:00") for hour in (2, 3, 4)]
        ['2021-04-03 23:30:00', '2021-04-03 23:30:00', '2021-04-04 00:30:00']
        >>> [Clock("America/Santiago").viewed(f"2021-09-05 0{hour}:30:00") for hour in (3, 4)]
        ['2021-09-04 23:30:00', '2021-09-05 01:30:00']

        Any offset will do: half hours, changes within an hour, seconds:

        >>> Clock("Asia/Kolkata").viewed("2021-03-01 00:40:07")
        '2021-03-01 06:10:07'
        >>> [Clock("Australia/Lord_Howe").viewed(f"2021-04-03 {time}:00") for time in ("14:59", "15:00")]
        ['2021-04-04 01:59:00', '2021-04-04 01:30:00']
        >>> Clock("Africa/Monrovia").viewed("1971-06-01 12:00:00")
        '1971-06-01 11:15:30'

        No time at all, or one that no calendar of four-digit years holds:

        >>> Clock("UTC").viewed("infinity")
        Traceback (most recent call last):
        ValueError: not a timestamp: 'infinity'
        >>> Clock("UTC").viewed(None)
        Traceback (most recent call last):
        ValueError: not a timestamp: None
        """
        if timestamp is None:
            raise ValueError("not a timestamp: None")
        # An hour of UTC mostly is one local hour; where not (odd offsets, clock changes), a minute mostly is.
        for length in _STRETCHES:
            stretch = self._stretches.get(timestamp[:length])
            if stretch is None:
                stretch = self._stretch(timestamp[:length], timestamp)
            if stretch:
                return stretch + timestamp[length:19]
        return self._local(timestamp[:19], timestamp)

    def _stretch(self, start: str, timestamp: str) -> str:
        """The local text of a UTC hour or minute, or '' when it is no local one as a whole; remembered."""
        first, last = _STRETCHES.get(len(start), ("", ""))
        begin, end = self._local(start + first, timestamp), self._local(start + last, timestamp)
        local = begin[: len(start)]
        if len(self._stretches) > _MEMORY:
            self._stretches.clear()
        self._stretches[start] = local if (begin, end) == (local + first, local + last) else ""
        return self._stretches[start]

    def _local(self, text: str, timestamp: str) -> str:
        """The same by way of a datetime; `timestamp` is what the error names."""
        try:
            utc = datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
            return utc.astimezone(self._zone).replace(tzinfo=None).isoformat(" ")
        except (ValueError, OverflowError):
            raise ValueError(f"not a timestamp: {timestamp!r}") from None
