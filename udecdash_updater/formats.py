"""Numbers, times and durations as Spanish and English write them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

_MONTHS = {
    "es": ("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre",
           "noviembre", "diciembre"),
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"),
}  # fmt: skip
_DAYS = {
    "es": ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
_DECIMALS = str.maketrans(",.", ".,")
_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True, slots=True)
class Format:
    """How a reader of this language ('es' or 'en') in this time zone sees numbers and times."""

    language: str
    zone: ZoneInfo

    def number(self, value: float, decimals: int = 0) -> str:
        """A number, its thousands apart.

        >>> Format("es", ZoneInfo("UTC")).number(1234567.5, 1), Format("en", ZoneInfo("UTC")).number(1234567)
        ('1.234.567,5', '1,234,567')
        """
        text = f"{value:,.{decimals}f}"
        return text.translate(_DECIMALS) if self.language == "es" else text

    def compact(self, value: float) -> str:
        """A round number in few letters, for axes.

        >>> [Format("es", ZoneInfo("UTC")).compact(v) for v in (0.5, 20, 1500, 200_000, 2_500_000)]
        ['0,5', '20', '1.500', '200 mil', '2,5 M']
        """
        for size, name in ((1e6, "M"), (1e3, "mil" if self.language == "es" else "k")):
            if value >= 10 * size or value >= size == 1e6:
                return f"{self._short(value / size)} {name}"
        return self._short(value)

    def _short(self, value: float) -> str:
        return self.number(value, 0 if value == int(value) else 1)

    def duration(self, seconds: float) -> str:
        """A duration, as exact as one wants to know it.

        >>> [Format("en", ZoneInfo("UTC")).duration(s) for s in (0.04, 4.25, 59.7, 125, 3600, 7384)]
        ['0.0 s', '4.2 s', '1 min', '2 min 5 s', '1 h', '2 h 3 min']
        """
        if round(seconds) < _MINUTE:
            return f"{self.number(seconds, 1 if seconds < 10 else 0)} s"
        whole = round(seconds)
        big, small, names = (whole // _HOUR, whole % _HOUR // _MINUTE, ("h", "min"))
        if whole < _HOUR:
            big, small, names = (whole // _MINUTE, whole % _MINUTE, ("min", "s"))
        return f"{big} {names[0]}" + (f" {small} {names[1]}" if small else "")

    def local(self, moment: datetime) -> datetime:
        """An aware moment in the reader's time zone."""
        return moment.astimezone(self.zone)

    def clock(self, moment: datetime) -> str:
        """The hour and minute."""
        return f"{self.local(moment):%H:%M}"

    def date(self, moment: datetime, *, weekday: bool = False) -> str:
        """The day, in words.

        >>> from datetime import timezone
        >>> day = datetime(2026, 11, 24, 5, tzinfo=timezone.utc)
        >>> Format("es", ZoneInfo("UTC")).date(day, weekday=True), Format("en", ZoneInfo("UTC")).date(day)
        ('martes 24 de noviembre de 2026', '24 November 2026')
        """
        day = self.local(moment)
        month, of = _MONTHS[self.language][day.month - 1], " de " if self.language == "es" else " "
        before = f"{_DAYS[self.language][day.weekday()]} " if weekday else ""
        return f"{before}{day.day}{of}{month}{of}{day.year}"

    def short_date(self, moment: datetime) -> str:
        """The day and the month's first letters, for axes and lists."""
        day = self.local(moment)
        return f"{day.day} {_MONTHS[self.language][day.month - 1][:3]}"
