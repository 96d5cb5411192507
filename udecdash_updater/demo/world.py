"""The university over the nights: people, courses and what is in them, the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from random import Random

from udecdash_updater.demo import courses
from udecdash_updater.demo.texts import person
from udecdash_updater.demo.things import SHARD, Course, Numbers, Thing

NEVER_BORN = 2_000_000
TERMS = ("Default Term", "2020 – Segundo Semestre", "2021 – Primer Semestre")
ROLES = (
    ("AccountAdmin", "AccountAdmin"),
    ("AccountMembership", "AccountMembership"),
    ("StudentEnrollment", "StudentEnrollment"),
    ("TeacherEnrollment", "TeacherEnrollment"),
    ("TaEnrollment", "TaEnrollment"),
    ("DesignerEnrollment", "DesignerEnrollment"),
    ("ObserverEnrollment", "ObserverEnrollment"),
    ("Ayudante docente", "TaEnrollment"),
    ("StudentViewEnrollment", "StudentViewEnrollment"),
)
ACCOUNTS = ('Universidad "Ñuble" \\ Raíz', "Facultad de Ciencias", "Facultad de Educación")


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


class World:
    """Everything that exists or will exist up to a night, in the order in which it was thought of.

    `things` holds the rows of the base tables; `strangers` are users that no table knows; `nowhere` is a
    course that never appears. `counts[era]` says how many members a course (by slot) had in that era.
    """

    def __init__(self, size: Size, night: int) -> None:
        self.size = size
        self.things: dict[str, list[Thing]] = {}
        self.courses: list[Course] = []
        self.counts: dict[int, list[int]] = {}
        rng = Random(f"{size.seed}:world")
        self.numbers = Numbers(rng)
        self.users: list[Thing] = []
        self.roles: dict[str, Thing] = {}
        self.strangers: list[Thing] = []
        self.nowhere = self._found(rng)
        for era in range(1, night + 1):
            if era > 1:
                self._evolve(Random(f"{size.seed}:world:{era}"), era)
            self._foresee(Random(f"{size.seed}:future:{era}"), era)
            self.counts[era] = [len(course.members) for course in self.courses]

    def add(self, table: str, *, made: int, born: int, **own: str | None) -> Thing:
        """A new row of a base table."""
        number, ident, slot = self.numbers.take(table)
        thing = Thing(table=table, id=ident, number=number, slot=slot, made=made, born=born, own=dict(own))
        self.things.setdefault(table, []).append(thing)
        return thing

    def keep(self, thing: Thing) -> None:
        """Take a thing made elsewhere into its table."""
        self.things.setdefault(thing.table, []).append(thing)

    def _found(self, rng: Random) -> Course:
        size = self.size
        for name in ACCOUNTS:
            root = name == ACCOUNTS[0]
            self.add("account_dim", made=1, born=1, name=name, depth="0" if root else "1",
                     root_account=ACCOUNTS[0], workflow_state="active")  # fmt: skip
        for name in TERMS:
            self.add("enrollment_term_dim", made=1, born=1, name=name)
        for name, base in ROLES:
            role = self.add("role_dim", made=1, born=1, name=name, base_role_type=base)
            self.roles.setdefault(base, role)
            role.own["workflow_state"] = "inactive" if size.odd_states and " " in name else "active"
        for _ in range(size.students + max(3, size.students // 12)):
            self.new_user(rng, 1)
        for index in range(size.courses):
            courses.found(self, rng, made=1, born=1, rank=index)
        for ident in (5, SHARD + 990_000_001, -7_550_111_443_387_852):
            slot = self.numbers.take("user_dim")[2]
            self.strangers.append(Thing(table="user_dim", id=ident, number=ident, slot=slot, made=1, born=NEVER_BORN))
        return Course(
            table="course_dim", id=SHARD + 1_000_000_000, number=1_000_000_000, slot=-1, made=1,
            born=NEVER_BORN, members=self.users[:3], founders=3,
        )  # fmt: skip

    def new_user(self, rng: Random, era: int) -> Thing:
        """One more user; every fortieth has an id from another shard, as accounts of a trust have."""
        name, sortable = person(rng)
        user = self.add("user_dim", made=era, born=era, name=name, sortable_name=sortable)
        if user.slot % 40 == 7:
            user.id = -(10**17) - int(rng.random() * 10**17)
        user.own["global_canvas_id"] = str(SHARD + user.number)
        self.users.append(user)
        return user

    def _evolve(self, rng: Random, era: int) -> None:
        for _ in range(1 + self.size.students // 100):
            user = self.new_user(rng, era)
            for course in self.courses[:3]:
                if course.alive(era):
                    courses.enroll(self, rng, course, user, era, "StudentEnrollment")
        for course in [course for course in self.courses if course.alive(era - 1)]:
            if course.slot % 3 == 0 or rng.random() < 0.2:
                courses.grow(self, rng, course, made=era, born=era)
                courses.shrink(rng, course, era)

    def _foresee(self, rng: Random, era: int) -> None:
        """What the next night brings and people already ask for."""
        for course in self.courses[:4]:
            if course.alive(era):
                courses.foresee(self, rng, course, era)
        courses.found(self, rng, made=era, born=era + 1, rank=self.size.courses)
