"""A planted request: what it looks like in the log, and what must come of it on which night.

Whoever plants a URL says which things it leads to, in the order in which they count; nothing here reads
URLs. A look is asked with a night and answers the thing that is found, the label of a lookup that found
nothing, or None where nothing is looked up at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from udecdash_updater.demo.things import Course, Item, Thing

Look = Callable[[int], Thing | str | None]

KIND_OF_TABLE = {
    "wiki_page_dim": "wiki_page_interactions",
    "file_dim": "attachment_interactions",
    "quiz_dim": "quiz_interactions",
    "discussion_topic_dim": "discussion_topic_interactions",
    "assignment_dim": "assignment_interactions",
    "module_item_dim": "external_url_interactions",
    "external_tool_activation_dim": "context_external_tool_interactions",
}
KINDS = tuple(sorted(KIND_OF_TABLE.values()))


@dataclass(slots=True, eq=False, kw_only=True)
class Plan:
    """One kind of request of one course.

    `fate` is "kept" or why the row is dropped while loading (no_user, no_course, masquerade, developer_key,
    trash); `looks` what the URL and the columns lead to;
    `downloaded` is said of files; `free_label` says why the label of a miss is not compared ("" if it is).
    """

    shape: str
    course: Course
    url: str
    looks: tuple[Look, ...] = ()
    fate: str = "kept"
    weight: float = 1.0
    quiz: str = ""
    topic: str = ""
    assignment: str = ""
    downloaded: bool = False
    free_label: str = ""
    method: str = "GET"
    controller: str = "odd"
    users: Sequence[Thing] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comes of a request: a thing found, or a miss with its label; `known` says the course is there."""

    known: bool
    found: Thing | None
    label: str | None


@dataclass(frozen=True, slots=True)
class Expected:
    """What comes of a plan's requests: in the last night's dump alone, and after all nights in turn.

    `night` is the one on which they resolve when the nights are loaded in turn.
    """

    alone: Outcome
    in_turn: Outcome
    night: int


def outcome(plan: Plan, night: int) -> Outcome:
    """What the plan's requests lead to in the dump of that night."""
    if not plan.course.alive(night):
        return Outcome(False, None, None)
    label: str | None = None
    for look in plan.looks:
        answer = look(night)
        if isinstance(answer, Thing):
            return Outcome(True, answer, None)
        label = answer or label
    return Outcome(True, None, label)


def expect(plan: Plan, era: int, last: int) -> Expected:
    """What must come of requests that the dump of night `era` brought first."""
    alone = outcome(plan, last)
    for night in range(era, last):
        earlier = outcome(plan, night)
        if earlier.found is not None:
            return Expected(alone, earlier, night)
    return Expected(alone, alone, last)


def row_of(thing: Thing) -> Look:
    """The row of the thing, looked up by an id in the URL or in a column."""
    label = f"record_not_found_{thing.table}"
    return lambda night: thing if thing.alive(night) else label


def no_row(table: str) -> Look:
    """A lookup in the table by an id that no row has."""
    return lambda _night: f"record_not_found_{table}"


def page_called(course: Course, slug: str) -> Look:
    """The page that the course's kept module items show under the slug, if it is one."""

    def look(night: int) -> Thing | str:
        shown = [page for page in course.slugs.get(slug, []) if course.shows(page, night)]
        if len(shown) == 1:
            return shown[0]
        return "multiple_wiki_pages" if shown else "wiki_page_not_found"

    return look


def through(item: Item) -> Look:
    """What a kept module item leads to: its target, or itself if it is an external URL."""

    def look(night: int) -> Thing | None:
        if not item.kept(night):
            return None
        if item.content == "ExternalUrl":
            return item
        return item.target if item.target is not None and item.target.alive(night) else None

    return look
