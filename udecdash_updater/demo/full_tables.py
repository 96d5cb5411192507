"""The 99 tables that come whole every night."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from udecdash_updater.demo.archive import Archive, file_name
from udecdash_updater.demo.catalog import BASE, CHILDREN, CUT_BADLY, OWN_NUMBERS, SCORES, Child
from udecdash_updater.demo.filler import PROBED, Around, Filler, Probe, fillers
from udecdash_updater.demo.things import SHARD, Course, Item, Thing
from udecdash_updater.demo.world import World

_ROW_GONE = 101
_ROW_CHANGED = 37


@dataclass(slots=True)
class Count:
    """What one table holds: `rows` lines in `files`, of them `duplicates` said again, `filtered` for R2."""

    rows: int = 0
    duplicates: int = 0
    filtered: int = 0
    files: int = 0

    def truth(self) -> dict[str, object]:
        """The table's entry in truth.json."""
        return {
            "damaged_files": [],
            "damaged_rows": 0,
            "distinct": self.rows - self.duplicates,
            "duplicates": self.duplicates,
            "expected_loaded": self.rows - self.duplicates - self.filtered,
            "files": self.files,
            "filtered": self.filtered,
            "rows": self.rows,
        }


@dataclass(slots=True)
class _State:
    """One table while it is written."""

    name: str
    filler: Filler
    archive: Archive | None = None
    often: Random = field(default_factory=Random)
    made: int = 0
    number: int = 0
    count: Count = field(default_factory=Count)
    tail: list[str] = field(default_factory=list)


class FullTables:
    """Writes the tables of one night below `data_files`; `counts` and `probes` say what was written."""

    def __init__(self, world: World, night: int, data_files: Path, empty: tuple[str, ...] = ()) -> None:
        size = world.size
        self._world = world
        self._night = night
        self._folder = data_files
        self._empty = frozenset(empty)
        self._states = {name: _State(name, filler) for name, filler in fillers(size.seed, size.start).items()}
        for index, state in enumerate(self._states.values()):
            state.number = 1 + index * 7
            state.often = Random(f"{size.seed}:children:{state.name}")
        self._some_users = [str(user.id) for user in world.users[:20]]
        self._member_ids: dict[int, list[str]] = {}
        self.probes: list[Probe] = []

    def write(self) -> dict[str, Count]:
        """Write all tables; the counts by table."""
        with ExitStack() as stack:
            self._stack = stack
            for name in BASE:
                for thing in self._world.things.get(name, []):
                    self._base_row(thing)
        for state in self._states.values():
            self._repeat_tail(state)
        return {name: state.count for name, state in self._states.items()}

    def _base_row(self, thing: Thing) -> None:
        around = self._around(thing)
        own = {"id": str(thing.id), "canvas_id": str(thing.number), **thing.own}
        deleted = isinstance(thing, Item) and self._night >= thing.deleted_from
        if deleted:
            own["workflow_state"] = "deleted"
        alive = thing.alive(self._night)
        self._emit(thing.table, own, around, alive=alive, filtered=deleted)
        self._children(thing.table, around, str(thing.id), thing.slot, alive=alive)

    def _around(self, thing: Thing) -> Around:
        world, course = self._world, thing.course
        account = world.things["account_dim"][1 + (course.slot if course else 0) % 2]
        terms = world.things["enrollment_term_dim"]
        root = str(world.things["account_dim"][0].id)
        ids = {"account_id": str(account.id), "root_account_id": root}
        members = self._some_users
        if course is not None:
            ids |= _course_ids(course, str(terms[course.slot % len(terms)].id))
            members = self._members(course)
        for name, text in thing.own.items():
            if text is not None and name.endswith("_id") and name != "tool_id":
                ids[name] = text
        return Around(ids, members)

    def _members(self, course: Course) -> list[str]:
        known = self._member_ids.get(course.slot)
        if known is None:
            known = [str(user.id) for user in course.members[: course.founders]]
            self._member_ids[course.slot] = known
        return known

    def _children(self, parent: str, around: Around, ident: str, index: int, *, alive: bool) -> None:
        below = CHILDREN.get(parent)
        if not below:
            return
        ids = {**around.ids, _reference_name(parent): ident}
        if parent in SCORES:
            ids["score_id"] = ident
        for child in below:
            for which in range(self._times(child)):
                inherited = Around(ids, around.members)
                if child.person:
                    user = around.members[(index + which) % len(around.members)]
                    inherited = Around({**ids, "user_id": user, "author_id": user}, around.members)
                self._child_row(child.table, inherited, alive=alive)

    def _times(self, child: Child) -> int:
        whole = int(child.times)
        if child.times == whole:
            return whole
        return whole + (self._states[child.table].often.random() < child.times - whole)

    def _child_row(self, table: str, around: Around, *, alive: bool) -> None:
        state = self._states[table]
        own: dict[str, str | None] = {}
        ident = ""
        if table.endswith("_dim") or table in OWN_NUMBERS:
            state.number += 1 + state.made % 3
            ident = str(SHARD + state.number)
            own[OWN_NUMBERS.get(table, "id")] = ident
            own["canvas_id"] = str(state.number)
            around = Around({**around.ids, _reference_name(table): ident}, around.members)
        index = state.made
        if table == "quiz_question_dim" and self._world.size.odd_states and index % 5 == 0:
            own["question_type"] = "Error"
        alive = alive and not self._gone(index)
        self._emit(table, own, around, alive=alive, filtered=False)
        self._children(table, around, ident, index, alive=alive)

    def _gone(self, index: int) -> bool:
        return (index - 50) % _ROW_GONE < self._night - 1

    def _emit(self, table: str, own: Mapping[str, str | None], around: Around, *, alive: bool, filtered: bool) -> None:
        state = self._states[table]
        row = state.filler.row(own, around)
        if (state.made - 5) % _ROW_CHANGED < self._night - 1:
            state.filler.change(row, self._night)
        state.made += 1
        if not alive or table in self._empty:
            return
        if table in PROBED and not filtered:
            self.probes += state.filler.probes(own, row)
        line = "\t".join(row) + "\n"
        if state.archive is None:
            path = self._folder / table / file_name(table, 0, self._world.size.seed, self._night)
            state.archive = self._stack.enter_context(Archive(path))
            state.count.files += 1
        state.archive.write(line)
        state.count.rows += 1
        state.count.filtered += filtered
        if table in CUT_BADLY and not filtered and state.made % 40 == 1:
            state.tail.append(line)

    def _repeat_tail(self, state: _State) -> None:
        """The known bad cut: rows of the first file stand in a second one again."""
        if not state.tail:
            return
        name = file_name(state.name, 1, self._world.size.seed, self._night)
        with Archive(self._folder / state.name / name) as archive:
            for line in state.tail:
                archive.write(line)
        state.count.files += 1
        state.count.rows += len(state.tail)
        state.count.duplicates += len(state.tail)


def _course_ids(course: Course, term: str) -> dict[str, str]:
    wiki = {} if course.wiki is None else {"wiki_id": str(course.wiki.id)}
    return {
        "course_id": str(course.id),
        "enrollment_term_id": term,
        "module_id": str(course.modules[0].id),
        "module_item_id": str(course.items[0].id),
        "prerequisite_module_id": str(course.modules[-1].id),
        "course_section_id": str(course.sections[0].id),
        **wiki,
    }


def _reference_name(table: str) -> str:
    return table.removesuffix("_dim").removesuffix("_fact") + "_id"
