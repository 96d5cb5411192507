r"""One request of the web log becomes one interaction or none: the rules, pure and without a database.

The rules R1 to R13 are those of the dashboard's own processing; the doctests here, in targets.py and clock.py
are their specification. Whoever classifies a chunk of one course's requests does it so:

    classifier = Classifier(course.canvas_id, pages_by_slug(rows), Resources(), Clock(zone))
    while needs := classifier.needs(chunk):      # at most two rounds: module items, then what they point at
        for lookup, ids in needs.items():        # SELECT columns FROM table WHERE column = ANY(ids)
            classifier.resources.add(lookup, ids, fetch(lookup, ids))
    for request in chunk:
        answer = classifier.classify(request)    # an Interaction or Unresolved

>>> classifier = Classifier(7, {}, Resources(), Clock("America/Santiago"))
>>> chunk = [
...     Request(1, "a", "2021-04-04 03:30:00.999", 20, 10, None, None, None, "/courses/7/files/5", "iPad"),
...     Request(2, "b", "2021-04-04 04:30:00", 20, 10, None, None, None, "/courses/7/grades", None),
... ]
>>> classifier.needs(chunk)
{Lookup(table='file_dim', column='canvas_id'): {5}}
>>> classifier.resources.add(Lookup("file_dim", "canvas_id"), {5}, [(1005, 5)])
>>> classifier.needs(chunk)
{}
>>> classifier.classify(chunk[0])  # doctest: +NORMALIZE_WHITESPACE
Interaction(table='attachment_interactions', course_id=10, user_id=20, item_id=1005, item_canvas_id=5,
            viewed='2021-04-03 23:30:00', url='/courses/7/files/5', device='MOBILE', downloaded=False)
>>> classifier.classify(chunk[1])
Unresolved(label=None, message='the URL names no item of its course')
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from udecdash_updater.clock import Clock
from udecdash_updater.resources import MODULE_ITEMS, Lookup, ModuleItem, Pages, Resource, Resources
from udecdash_updater.targets import Mention, Target, parse

MESSAGE_LENGTH: Final = 255
"""What unprocessable_interactions.error_message holds."""

_MEMORY: Final = 100_000
_NULL: Final = b"\\N"
_TRASH: Final = re.compile(
    rb"courses/[0-9]+/(?:ping\Z|activity_stream/summary\Z|quizzes/[0-9]+/submissions/backup\?user_id=[0-9])"
)
_MOBILE: Final = re.compile(
    "Mobile|iPhone|iPod|iPad|Android|BlackBerry|IEMobile|Kindle|NetFront|Silk-Accelerated|hpwOS|webOS|Fennec"
    "|Minimo|Opera Mobi|Opera Mini|Blazer|Dolfin|Dolphin|Skyfire|Zune"
)


class Request(NamedTuple):
    """A row of `requests`, in this order: `Request._make(row)` of a cursor's row is the fast way to make one.

    `timestamp` is the column's text in ISO style, UTC (`"timestamp"::text`): slicing a text is several times
    cheaper than reading a datetime.
    """

    local_id: int
    id: str
    timestamp: str | None
    user_id: int
    course_id: int
    quiz_id: int | None
    discussion_id: int | None
    assignment_id: int | None
    url: str | None
    user_agent: str | None

    def log(self) -> str:
        """The request as the JSON of unprocessable_interactions.log.

        >>> Request(1, "a", "2021-04-04 03:30:00", 20, 10, None, 5, None, "/ñ", None).log()[:61]
        '{"local_id": 1, "id": "a", "timestamp": "2021-04-04 03:30:00"'
        """
        return json.dumps(self._asdict(), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One of R9's resolvers: its interactions, its items, the request's column, the item's pointer."""

    interactions: str
    table: str
    column: str | None
    pointer: str | None


_KINDS: Final = (
    _Kind("wiki_page_interactions", "wiki_page_dim", None, "wiki_page_id"),
    _Kind("attachment_interactions", "file_dim", None, "file_id"),
    _Kind("quiz_interactions", "quiz_dim", "quiz_id", "quiz_id"),
    _Kind("discussion_topic_interactions", "discussion_topic_dim", "discussion_id", "discussion_topic_id"),
    _Kind("assignment_interactions", "assignment_dim", "assignment_id", "assignment_id"),
    _Kind("external_url_interactions", "module_item_dim", None, None),
    _Kind("context_external_tool_interactions", "external_tool_activation_dim", None, None),
)
INTERACTION_TABLES: Final = tuple(kind.interactions for kind in _KINDS)
"""The tables that interactions go to, in the order in which they are tried."""


class Resolved(NamedTuple):
    """The item that a request reached."""

    table: str
    item_id: int
    item_canvas_id: int
    downloaded: bool


class Unresolved(NamedTuple):
    """Why a request reached none: R11's label, and what was looked for in at most 255 characters."""

    label: str | None
    message: str


class Interaction(NamedTuple):
    """A row of `table` (R10); `downloaded` is a column of attachment_interactions only."""

    table: str
    course_id: int
    user_id: int
    item_id: int
    item_canvas_id: int
    viewed: str
    url: str
    device: str
    downloaded: bool


def missing(request: Request, target: Target, resources: Resources) -> Iterator[tuple[Lookup, int]]:
    """What must still be looked up before the request can be resolved; an item's pointers once it is known.

    >>> resources, target = Resources(), parse("/courses/7/modules/items/9?x=/courses/7/quizzes/6", 7)
    >>> request = Request(1, "a", None, 20, 10, None, None, 8, None, None)
    >>> for lookup, id in missing(request, target, resources):
    ...     print(lookup.table, lookup.column, id)
    module_item_dim canvas_id 9
    quiz_dim canvas_id 6
    assignment_dim id 8
    >>> resources.add(MODULE_ITEMS, {9}, [(1009, 9, "WikiPage", 1004, None, None, None, None)])
    >>> resources.add(Lookup("quiz_dim", "canvas_id"), {6}, [])
    >>> [(lookup.table, lookup.column, id) for lookup, id in missing(request, target, resources)]
    [('wiki_page_dim', 'id', 1004), ('assignment_dim', 'id', 8)]
    """
    item = None
    if target.item_id is not None:
        if resources.asked(MODULE_ITEMS, target.item_id):
            item = resources.item(target.item_id)
        else:
            yield MODULE_ITEMS, target.item_id
    for kind in _KINDS:
        for lookup, number in filter(None, (_named(kind, request, target), _pointed(kind, item))):
            if number.id is not None and not resources.asked(lookup, number.id):
                yield lookup, number.id


def _named(kind: _Kind, request: Request, target: Target) -> tuple[Lookup, Mention] | None:
    """What the request itself says of a kind: its column, if set and not 0, hides the id in the URL (R9)."""
    column = getattr(request, kind.column) if kind.column else None
    if column:
        return Lookup(kind.table, "id"), Mention(str(column), column)
    number = target.mentions.get(kind.table)
    return None if number is None else (Lookup(kind.table, "canvas_id"), number)


def _pointed(kind: _Kind, item: ModuleItem | None) -> tuple[Lookup, Mention] | None:
    """What the module item points at of a kind."""
    row_id = getattr(item, kind.pointer) if item and kind.pointer else None
    return None if row_id is None else (Lookup(kind.table, "id"), Mention(str(row_id), row_id))


def resolve(request: Request, target: Target, pages: Pages, resources: Resources) -> Resolved | Unresolved:
    """R8, R9 and R11: the item that a request reached, trying the kinds in order; the first hit wins.

    `target` is the parsed URL of the request, `pages` are those of its course, and `resources` must hold what
    `missing` names. tests/unit/test_interactions.py has an example of every case.
    """
    item = resources.item(target.item_id)
    failure = Unresolved(None, _nothing(target, item))
    for kind in _KINDS:
        found, failed = _direct(kind, request, target, pages, resources)
        failure = failed or failure
        found = found or _through_item(kind, item, resources)
        if found:
            return Resolved(kind.interactions, found.id, found.canvas_id, target.downloaded)
    return failure


def _nothing(target: Target, item: ModuleItem | None) -> str:
    """The message of a request whose lookups all failed in silence, if there were any."""
    if target.item_id is None:
        return "the URL names no item of its course"
    if item is None:
        return f"no module item has the canvas_id {target.item_id}"
    return f"the module item {target.item_id} ({item.content_type}) leads to nothing that is known"


def _direct(
    kind: _Kind, request: Request, target: Target, pages: Pages, resources: Resources
) -> tuple[Resource | None, Unresolved | None]:
    """What the request itself names of a kind: the row, or the failure to find it, or neither."""
    if kind.table == "wiki_page_dim":
        return _page(target.slug, pages)
    named = _named(kind, request, target)
    if named is None:
        return None, None
    lookup, number = named
    row = resources.row(lookup, number.id)
    if row:
        return row, None
    message = f"{lookup.table} has no row with the {lookup.column} {number.text}"
    return None, Unresolved(f"record_not_found_{lookup.table}", message[:MESSAGE_LENGTH])


def _page(slug: str | None, pages: Pages) -> tuple[Resource | None, Unresolved | None]:
    """The one page of the course's modules with that slug, or why there is none."""
    if slug is None:
        return None, None
    found = pages.get(slug, ())
    if len(found) == 1:
        return found[0], None
    if found:
        label, message = "multiple_wiki_pages", f"{len(found)} pages of the course's modules have the url {slug}"
    else:
        label, message = "wiki_page_not_found", f"no page of the course's modules has the url {slug}"
    return None, Unresolved(label, message[:MESSAGE_LENGTH])


def _through_item(kind: _Kind, item: ModuleItem | None, resources: Resources) -> Resource | None:
    """What the module item leads to of a kind; an external URL is the item itself."""
    if item and kind.table == "module_item_dim":
        return Resource(item.id, item.canvas_id) if item.content_type == "ExternalUrl" else None
    pointed = _pointed(kind, item)
    return resources.row(pointed[0], pointed[1].id) if pointed else None


@lru_cache(maxsize=16_384)
def device(user_agent: str | None) -> str:
    """R6: MOBILE or DESKTOP.

    >>> device("Mozilla/5.0 (Linux; Android 10)"), device("Opera/9.8 (J2ME/MIDP; Opera Mini/7.1)")
    ('MOBILE', 'MOBILE')
    >>> device("Mozilla/5.0 (X11; Linux)"), device("ANDROID mobile ipad"), device(""), device(None)
    ('DESKTOP', 'DESKTOP', 'DESKTOP', 'DESKTOP')
    """
    return "MOBILE" if user_agent and _MOBILE.search(user_agent) else "DESKTOP"


class Classifier:
    """The requests of one course, judged; what repeats (most URLs do) is judged once."""

    def __init__(self, course_canvas_id: int | None, pages: Pages, resources: Resources, clock: Clock) -> None:
        self.resources: Final = resources
        self._course_canvas_id = course_canvas_id
        self._pages = pages
        self._clock = clock
        self._targets: dict[str | None, Target] = {}
        self._outcomes: dict[tuple[object, ...], Resolved | Unresolved] = {}

    def needs(self, requests: Iterable[Request]) -> dict[Lookup, set[int]]:
        """The ids that must be looked up and added to `resources` before these requests are classified.

        To be asked again until it is empty: what the module items point at is known only when they are.
        """
        needs: dict[Lookup, set[int]] = {}
        for request in {request[5:9]: request for request in requests}.values():
            if request[5:9] not in self._outcomes:
                for lookup, row_id in missing(request, self._target(request), self.resources):
                    needs.setdefault(lookup, set()).add(row_id)
        return needs

    def classify(self, request: Request) -> Interaction | Unresolved:
        """The request's interaction, or why it has none: nothing found, or a time that no calendar holds."""
        outcome = self._outcomes.get(request[5:9])
        if outcome is None:
            outcome = resolve(request, self._target(request), self._pages, self.resources)
            self._outcomes[request[5:9]] = outcome
        if isinstance(outcome, Unresolved):
            return outcome
        table, item_id, canvas_id, downloaded = outcome
        _, _, timestamp, user, course, _, _, _, url, agent = request
        try:
            viewed = self._clock.viewed(timestamp)
        except ValueError as error:
            return Unresolved(None, str(error)[:MESSAGE_LENGTH])
        return Interaction(table, course, user, item_id, canvas_id, viewed, url or "", device(agent), downloaded)

    def trim(self) -> None:
        """Between two chunks: forget when it is much, so that memory stays flat whatever comes."""
        if len(self._targets) > _MEMORY:
            self._targets.clear()
        if len(self._outcomes) > _MEMORY:
            self._outcomes.clear()
        self.resources.trim()

    def _target(self, request: Request) -> Target:
        target = self._targets.get(request.url)
        if target is None:
            target = self._targets[request.url] = parse(request.url or "", self._course_canvas_id)
        return target


def is_trash(raw_url: bytes) -> bool:
    """R1: whether a URL, the field as it stands in the file, is of a browser's own polling.

    >>> [is_trash(url) for url in (b"/courses/7/ping", b"/api/v1/courses/7/activity_stream/summary")]
    [True, True]
    >>> is_trash(b"/courses/7/quizzes/5/submissions/backup?user_id=3&x"), is_trash(b"/micourses/7/ping")
    (True, True)

    A query string saves the first two, all that is not a number saves the third:

    >>> [is_trash(url) for url in (b"/courses/7/ping?x=1", b"/courses/7/activity_stream/summary?a=1", b"")]
    [False, False, False]
    >>> is_trash(b"/courses/7/quizzes/5/submissions/backup"), is_trash(b"/courses/x/ping")
    (False, False)
    """
    # Most URLs are no trash: three looks at the text are much cheaper than the search that decides.
    suspect = raw_url.endswith((b"/ping", b"/summary")) or b"/backup?user_id=" in raw_url
    return suspect and _TRASH.search(raw_url) is not None


def keep(fields: Sequence[bytes]) -> bool:
    r"""R1: whether a row of a requests file (its 28 raw fields) is kept.

    >>> row = [b"\\N"] * 28
    >>> row[5], row[6], row[13] = b"20", b"10", b"/courses/7"
    >>> keep(row)
    True

    No user, no course, a masquerade, an API program, trash; an empty or absent URL is no reason:

    >>> changes = {5: b"\\N", 6: b"\\N", 22: b"20", 27: b"1", 13: b"/courses/7/ping"}
    >>> [keep(row[:i] + [value] + row[i + 1 :]) for i, value in changes.items()]
    [False, False, False, False, False]
    >>> [keep(row[:13] + [value] + row[14:]) for value in (b"", b"\\N")]
    [True, True]
    """
    set_ids = fields[5] != _NULL and fields[6] != _NULL
    return set_ids and fields[22] == fields[27] == _NULL and not is_trash(fields[13])
