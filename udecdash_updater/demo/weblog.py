"""The web log: which rows fall on which day, in which file they stand, and what they must become."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import accumulate
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from udecdash_updater.demo.archive import Archive
from udecdash_updater.demo.browsers import BROWSERS, MOBILE
from udecdash_updater.demo.files import LogFile, Segment
from udecdash_updater.demo.oddities import odd_plans
from udecdash_updater.demo.plans import Expected, Plan, expect, page_called
from udecdash_updater.demo.texts import escape
from udecdash_updater.demo.traffic import course_traffic, elsewhere, futures, written
from udecdash_updater.demo.truth import ITEM_AT, SECOND_AT, USER_AT, Ids, Keys
from udecdash_updater.demo.world import World

NULL = "\\N"
_ODD_COURSES = 30
_CLOCK = [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(86400)]
_DEVICES = [((r"\N" if text is None else escape(text)), (device == MOBILE) << 1) for text, device in BROWSERS]
_ECHO_FROM = 20 * 3600


@dataclass(slots=True)
class Tally:
    """Counts of rows, and the ids and keys that must come out; filled while rows are written."""

    rows: int = 0
    ids: int = 0
    kept_rows: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    became: int = 0
    kept: Ids = field(default_factory=Ids)
    alone: Keys = field(default_factory=Keys)
    in_turn: Keys = field(default_factory=Keys)
    missed: Ids = field(default_factory=Ids)
    missed_in_turn: Ids = field(default_factory=Ids)
    misses: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    distinct_labels: Counter[str] = field(default_factory=Counter)
    shapes: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Ready:
    """A plan ready to be written: its fixed columns, its people, and where its requests are to be noted."""

    plan: Plan
    expected: Expected
    middle: str
    tail: str
    people: list[tuple[str, int]]
    many: int
    notes: tuple[tuple[Callable[[int], None], int], ...]
    missed: tuple[Ids, ...]


@dataclass(slots=True)
class Pool:
    """What the people of an era ask for: all plans with their weights, and those to be planted for sure."""

    plans: list[Ready]
    weights: list[float]
    planted: list[Ready]


class WebLog:
    """Writes the requests of one night; `tally` says what must come of them."""

    def __init__(self, world: World, night: int, zone: ZoneInfo) -> None:
        self.world = world
        self.night = night
        self.zone = zone
        self.tally = Tally()
        self.epoch = world.size.start - timedelta(days=2)
        self._people: dict[int, list[tuple[str, int]]] = {}
        self._pools: dict[int, Pool] = {}
        self._echo: list[tuple[str, Ready]] = []

    def write(self, folder: Path, files: list[LogFile]) -> list[str]:
        """Write the files in load order; each file's earliest timestamp and name, to be checked."""
        firsts = []
        for file in files:
            with Archive(folder / file.name) as archive:
                first = min(self._segment(segment, archive.write) for segment in file.segments)
            firsts.append(f"{first} {file.name}")
        if firsts != sorted(firsts):
            raise RuntimeError("the files do not sort as their rows were planted")
        return firsts

    def _segment(self, segment: Segment, write: Callable[[str], None]) -> str:
        """All rows of a part of a day; the earliest timestamp among them."""
        rng = Random(f"{self.world.size.seed}:requests:{segment.day}:{segment.part}")
        pool = self._pools.get(segment.era) or self._pool(segment.era)
        planted = pool.planted[segment.turn :: segment.turns]
        chosen = planted + rng.choices(pool.plans, cum_weights=pool.weights, k=segment.rows - len(planted))
        day = (self.world.size.start + timedelta(days=segment.day)).isoformat()
        for line, ready in self._echo if segment.part == 0 else ():
            write(line)
            self._note_again(ready)
        echoed = [line[37:60] for line, _ in self._echo] if segment.part == 0 else []
        self._echo = []
        rows = Rows(self, segment, rng, day)
        for index, ready in enumerate(chosen):
            rows.write(ready, write, certain=index < len(planted))
        rows.fold(pool, write)
        self._echo = rows.echo
        return min([*echoed, rows.earliest])

    def local(self, day: str, hour: int) -> int:
        """Local seconds since the epoch at the beginning of that UTC hour."""
        moment = datetime.fromisoformat(day).replace(hour=hour, tzinfo=timezone.utc).astimezone(self.zone)
        since = datetime.combine(self.epoch, datetime.min.time())
        return int((moment.replace(tzinfo=None) - since).total_seconds())

    def _note_again(self, ready: Ready) -> None:
        tally = self.tally
        tally.rows += 1
        tally.kept_rows += 1
        if ready.expected.alone.known and ready.expected.alone.found is None:
            tally.misses += 1
            tally.labels[_label(ready)] += 1

    def _pool(self, era: int) -> Pool:
        world = self.world
        courses = [course for course in world.courses if course.made <= era]
        plans: list[Plan] = []
        planted: list[Plan] = []
        for index, course in enumerate(courses):
            share = course.weight * (0.2 if course.born > era else 1)
            own = list(course_traffic(course, era))
            own += elsewhere(course)
            if course.born <= era and index < _ODD_COURSES:
                odd = odd_plans(course, courses[(index + 1) % world.size.courses], world.strangers)
                planted += odd if index == 0 else []
                own += odd
            soon = futures(course, era) if course.born <= era else own[:12]
            planted += soon
            own += soon if course.born <= era else []
            for plan in own:
                plan.weight *= share
            plans += own
        nobody = Plan(shape="course nobody knows", course=world.nowhere, url="/courses/1000000000/pages/inicio",
                      looks=(page_called(world.nowhere, "inicio"),), weight=0.02)  # fmt: skip
        plans.append(nobody)
        planted.append(nobody)
        ready = {id(plan): self._ready(plan, era) for plan in plans}
        pool = Pool(list(ready.values()), list(accumulate(p.weight for p in plans)), [ready[id(p)] for p in planted])
        self._pools[era] = pool
        return pool

    def _ready(self, plan: Plan, era: int) -> Ready:
        expected = expect(plan, era, self.night)
        course = plan.course
        middle, tail = written(plan)
        people = [(str(user.id), user.slot << USER_AT) for user in plan.users] or self._members(plan)
        many = len(people) if plan.users or course.slot < 0 else self.world.counts[era][course.slot]
        notes = []
        missed = []
        for view, outcome, night, ids in (
            (self.tally.alone, expected.alone, 0, self.tally.missed),
            (self.tally.in_turn, expected.in_turn, expected.night, self.tally.missed_in_turn),
        ):
            if outcome.found is not None:
                bits = outcome.found.slot << ITEM_AT | plan.downloaded
                notes.append((view.of(outcome.found, course, night).append, bits))
            elif outcome.known:
                missed.append(ids)
        return Ready(plan, expected, middle, tail, people, many, tuple(notes), tuple(missed))

    def _members(self, plan: Plan) -> list[tuple[str, int]]:
        course = plan.course
        known = self._people.get(course.id)
        if known is None:
            known = [(str(user.id), user.slot << USER_AT) for user in course.members]
            self._people[course.id] = known
        return known


def _label(ready: Ready) -> str:
    return ready.plan.free_label or ready.expected.alone.label or "(none)"


class Rows:
    """Writes the rows of one segment."""

    def __init__(self, log: WebLog, segment: Segment, rng: Random, day: str) -> None:
        self._log = log
        self._tally = log.tally
        self._rng = rng
        self._day = day
        self._from = segment.hours[0] * 3600
        self._span = (segment.hours[1] - segment.hours[0]) * 3600
        self._hours = [log.local(day, hour) - hour * 3600 for hour in range(24)]
        self._dates = f"{day[:4]}\t{day[:7]}\t{day}\t"
        self._last: tuple[int, tuple[str, int], int] | None = None
        self._segment = segment
        self._count = 0
        self.earliest = "9"
        self.echo: list[tuple[str, Ready]] = []

    def write(self, ready: Ready, write: Callable[[str], None], *, certain: bool) -> None:
        """One row of the plan at a random moment; now and then the same again from another device."""
        rng = self._rng.random
        span = 3600 if self._count == 0 else self._span
        second = self._from + int(rng() * span)
        person = ready.people[int(rng() * ready.many)]
        dice = rng()
        fate = ready.plan.fate
        if not certain and dice < 0.035 and fate == "kept":
            fate = "masquerade" if dice < 0.003 else "developer_key"
        self.row(ready, write, second, person, int(rng() * len(_DEVICES)), fate)
        if dice > 0.99 and fate == "kept":
            self.row(ready, write, second, person, int(rng() * len(_DEVICES)), fate)

    def fold(self, pool: Pool, write: Callable[[str], None]) -> None:
        """Where two UTC hours fall on one local hour: the same key from both, the later one from a phone."""
        shifts = self._hours
        found = [ready for ready in pool.planted if ready.expected.alone.found is not None]
        for hour in range(max(1, self._segment.hours[0]), self._segment.hours[1]):
            if shifts[hour] >= shifts[hour - 1]:
                continue
            for index, ready in enumerate(found[:6]):
                second = 60 * index + 30
                person = ready.people[index % ready.many]
                self.row(ready, write, (hour - 1) * 3600 + second, person, 0, "kept")
                self.row(ready, write, hour * 3600 + second, person, 3, "kept")

    def row(
        self, ready: Ready, write: Callable[[str], None], second: int, person: tuple[str, int], browser: int, fate: str
    ) -> None:
        """Write one row and note what must come of it."""
        rng = self._rng
        ident = rng.getrandbits(128)
        digits = f"{ident:032x}"
        fraction = int(rng.random() * 1030)
        tail = f".{fraction:03d}" if fraction < 1000 else (".0", "", ".9996", ".999999", ".5")[fraction % 5]
        moment = f"{self._day} {_CLOCK[second]}{tail}"
        agent, device = _DEVICES[browser]
        user, slot = person
        number = fraction * 251
        line = (
            f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}\t{moment}\t{self._dates}"
            f"{user if fate != 'no_user' else NULL}\t{ready.middle}\t{agent}\t{ready.plan.method}\t"
            f"{1 + fraction % 223}.{second % 256}.{browser}.{fraction % 251}\t{number}\t{ready.tail}\t"
            f"{'157720000000000007' if fate == 'masquerade' else NULL}\t{digits[::-1]}\t{NULL}\t"
            f"{'302' if fraction % 9 == 0 else '200'}\tHTTP/1.1\t"
            f"{'170000000000158' if fate == 'developer_key' else NULL}\n"
        )
        write(line)
        self._count += 1
        self.earliest = min(self.earliest, moment)
        tally = self._tally
        tally.rows += 1
        tally.ids += 1
        if fate != "kept":
            tally.dropped[fate] += 1
            return
        tally.kept_rows += 1
        tally.kept.add(ident)
        low = slot | (self._hours[second // 3600] + second) << SECOND_AT | device
        for append, bits in ready.notes:
            append(bits | low)
        for ids in ready.missed:
            ids.add(ident)
        tally.shapes[ready.plan.shape] += 1
        alone = ready.expected.alone
        if not alone.known:
            tally.dropped["unknown_course"] += 1
        elif alone.found is None:
            tally.misses += 1
            tally.labels[_label(ready)] += 1
            tally.distinct_labels[_label(ready)] += 1
        if second >= _ECHO_FROM and len(self.echo) < 2:
            self.echo.append((line, ready))
