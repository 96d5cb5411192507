"""The university over the nights: people, courses and what is in them, the same for the same seed."""

from __future__ import annotations

from random import Random

from udecdash_updater.demo import courses
from udecdash_updater.demo.registry import Registry, Size
from udecdash_updater.demo.things import SHARD, Course, Thing

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


class World(Registry):
    """Everything that exists or will exist up to a night.

    `strangers` are users that no table knows; `nowhere` is a course that never appears. `counts[era]` says
    how many members a course (by slot) had in that era.
    """

    def __init__(self, size: Size, night: int) -> None:
        super().__init__(size)
        self.counts: dict[int, list[int]] = {}
        self.strangers: list[Thing] = []
        self.nowhere = self._found(Random(f"{size.seed}:world"))
        for era in range(1, night + 1):
            if era > 1:
                self._evolve(Random(f"{size.seed}:world:{era}"), era)
            self._foresee(Random(f"{size.seed}:future:{era}"), era)
            self.counts[era] = [len(course.members) for course in self.courses]

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
