"""What a university is made of: things with an id that appear one night and may vanish on another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

NEVER = 1_000_000
SHARD = 157_720_000_000_000_000


@dataclass(slots=True, eq=False, kw_only=True)
class Thing:
    """A row of a dimension table: `made` is the night it was thought of, `born` the first dump that has it,
    `gone` the first that lacks it again; `own` holds the texts of its columns that are not left to chance.
    """

    table: str
    id: int
    number: int
    slot: int
    made: int
    born: int
    gone: int = NEVER
    course: Course | None = None
    own: dict[str, str | None] = field(default_factory=dict)

    def alive(self, night: int) -> bool:
        """Whether the dump of that night has the row."""
        return self.born <= night < self.gone


@dataclass(slots=True, eq=False, kw_only=True)
class Page(Thing):
    """A wiki page and the slug under which it is asked for."""

    slug: str


@dataclass(slots=True, eq=False, kw_only=True)
class Item(Thing):
    """A module item: what it points at; from the night `deleted_from` on its row says deleted."""

    content: str
    target: Thing | None = None
    deleted_from: int = NEVER

    def kept(self, night: int) -> bool:
        """Whether the row is there that night and not filtered while loading."""
        return self.alive(night) and night < self.deleted_from


@dataclass(slots=True, eq=False, kw_only=True)
class Course(Thing):
    """A course, who is in it, and what can be looked at in it."""

    weight: float = 1.0
    members: list[Thing] = field(default_factory=list)
    founders: int = 0
    pages: list[Page] = field(default_factory=list)
    files: list[Thing] = field(default_factory=list)
    quizzes: list[Thing] = field(default_factory=list)
    topics: list[Thing] = field(default_factory=list)
    assignments: list[Thing] = field(default_factory=list)
    tools: list[Thing] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    modules: list[Thing] = field(default_factory=list)
    groups: list[Thing] = field(default_factory=list)
    sections: list[Thing] = field(default_factory=list)
    wiki: Thing | None = None
    pointing: dict[int, list[Item]] = field(default_factory=dict)
    slugs: dict[str, list[Page]] = field(default_factory=dict)

    def shows(self, page: Page, night: int) -> bool:
        """Whether a kept module item of this course points at the page that night."""
        return page.alive(night) and any(item.kept(night) for item in self.pointing[page.id])


class Numbers:
    """Hands out canvas ids, table by table, with gaps, and the ids of the dump that belong to them."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._next: dict[str, int] = {}
        self._slots: dict[str, int] = {}

    def take(self, table: str) -> tuple[int, int, int]:
        """(canvas id, id, running number) of a new row of the table."""
        rng = self._rng
        number = self._next.get(table, 1 + int(rng.random() * 400)) + 1 + int(rng.random() * 3)
        self._next[table] = number
        slot = self._slots.get(table, 0)
        self._slots[table] = slot + 1
        return number, SHARD + number, slot


def some(rng: Random, things: Sequence[Thing], share: float) -> list[Thing]:
    """About that share of the things, in their order."""
    return [thing for thing in things if rng.random() < share]
