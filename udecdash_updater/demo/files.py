"""How the days of the web log are cut into files, and how that changes from night to night."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from udecdash_updater.demo.archive import file_name
from udecdash_updater.demo.registry import Size

_NOON = 17


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a day (0: until 17 UTC, 1: the rest), the night that brought it, how many rows it has.

    `turn` of `turns` says which of the planted requests fall to it.
    """

    day: int
    part: int
    era: int
    rows: int
    turn: int
    turns: int

    @property
    def hours(self) -> tuple[int, int]:
        """From this UTC hour to that."""
        return (0, _NOON) if self.part == 0 else (_NOON, 24)


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file of the requests table and the parts of days that it holds, in time order."""

    name: str
    segments: tuple[Segment, ...]


def log_files(size: Size, night: int) -> list[LogFile]:
    """The files of that night's dump, in load order.

    The first half of the days is one historical file, then comes a file a day; the last day's file is
    unfinished and grows under its name on the next night, when older daily files are regrouped.
    """
    segments = _segments(size, night)
    half, last = max(1, size.days // 2), size.days - 1
    groups: list[tuple[str, list[int]]] = [(_name(size, "history", 0), list(range(half)))]
    groups += [(_name(size, "day", day), [day]) for day in range(half, last + 1)]
    settled = 1
    for era in range(2, night + 1):
        groups.append((_name(size, "day", last + era - 1), [last + era - 1]))
        old = groups[settled:-2]
        merged = old[: max(1, len(old) // 2)]
        if merged:
            days = [day for _, own in merged for day in own]
            groups[settled : settled + len(merged)] = [(_name(size, "group", era), days)]
            settled += 1
    return [LogFile(name, tuple(s for day in days for s in segments[day])) for name, days in groups]


def _name(size: Size, what: str, number: int) -> str:
    return file_name("requests", 0, size.seed, what, number)


def _segments(size: Size, night: int) -> dict[int, list[Segment]]:
    """By day: its parts that are in the dump of that night."""
    last = size.days - 1
    parts = [(day, part, 1) for day in range(size.days) for part in (0, 1) if (day, part) != (last, 1)]
    weights = [_weight(size, day, part) for day, part, _ in parts]
    total = sum(weights)
    for era in range(2, night + 1):
        parts += [(last + era - 2, 1, era), (last + era - 1, 0, era)]
        weights += [_weight(size, *parts[-2][:2]), _weight(size, *parts[-1][:2])]
    marks = [0.0]
    for weight in weights:
        marks.append(marks[-1] + weight / total * size.requests)
    found: dict[int, list[Segment]] = {}
    eras = [era for _, _, era in parts]
    for index, ((day, part, era), (low, high)) in enumerate(zip(parts, pairwise(marks), strict=True)):
        turn, turns = index - eras.index(era), eras.count(era)
        found.setdefault(day, []).append(Segment(day, part, era, round(high) - round(low), turn, turns))
    return found


def _weight(size: Size, day: int, part: int) -> float:
    weekend = (size.start + timedelta(days=day)).weekday() >= 5
    return (0.5 if weekend else 1.0) * (0.6 if part == 0 else 0.4)
