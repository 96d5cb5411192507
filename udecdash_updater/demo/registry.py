"""What there is at the university so far: every thing by table, and the numbers of the next ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from random import Random

from udecdash_updater.demo.texts import person
from udecdash_updater.demo.things import SHARD, Course, Numbers, Thing


@dataclass(frozen=True, slots=True)
class Size:
    """What was asked for: how large, how many days of web log, from which day on."""

    seed: int
    students: int
    courses: int
    requests: int
    days: int
    start: date
    odd_states: bool = False
    big_text: int = 200_000


class Registry:
    """Everything thought of so far, in that order: `things` by table, `users`, `courses`, `roles` by base role."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.things: dict[str, list[Thing]] = {}
        self.courses: list[Course] = []
        self.users: list[Thing] = []
        self.roles: dict[str, Thing] = {}
        self.numbers = Numbers(Random(f"{size.seed}:numbers"))

    def add(self, table: str, *, made: int, born: int, **own: str | None) -> Thing:
        """A new row of a base table."""
        number, ident, slot = self.numbers.take(table)
        thing = Thing(table=table, id=ident, number=number, slot=slot, made=made, born=born, own=dict(own))
        self.things.setdefault(table, []).append(thing)
        return thing

    def keep(self, thing: Thing) -> None:
        """Take a thing made elsewhere into its table."""
        self.things.setdefault(thing.table, []).append(thing)

    def new_user(self, rng: Random, era: int) -> Thing:
        """One more user; every fortieth has an id from another shard, as accounts of a trust have."""
        name, sortable = person(rng)
        user = self.add("user_dim", made=era, born=era, name=name, sortable_name=sortable)
        if user.slot % 40 == 7:
            user.id = -(10**17) - int(rng.random() * 10**17)
        user.own["global_canvas_id"] = str(SHARD + user.number)
        self.users.append(user)
        return user
