"""R8, R9 and R11: the item that a request reached, or why it reached none; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

from udecdash_updater.resources import MODULE_ITEMS, Lookup, ModuleItem, Page, Pages, Resource, Resources
from udecdash_updater.targets import Mention, Target
from udecdash_updater.weblog import Request

MESSAGE_LENGTH: Final = 255
"""What unprocessable_interactions.error_message holds."""


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


def missing(request: Request, target: Target, resources: Resources) -> Iterator[tuple[Lookup, int]]:
    """What must still be looked up before the request can be resolved; an item's pointers once it is known.

    >>> from udecdash_updater.targets import parse
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
    if target.no_item is not None:
        return f"no module item can have the canvas_id {target.no_item}"[:MESSAGE_LENGTH]
    if target.item_id is None:
        return "the URL names no item of its course"
    if item is None:
        return f"no module item has the canvas_id {target.item_id}"
    return f"the module item {target.item_id} ({item.content_type}) leads to nothing that is known"


def _direct(
    kind: _Kind, request: Request, target: Target, pages: Pages, resources: Resources
) -> tuple[Resource | Page | None, Unresolved | None]:
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


def _page(slug: str | None, pages: Pages) -> tuple[Page | None, Unresolved | None]:
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


def wants(request: Request, target: Target, pages: Pages, resources: Resources) -> Iterator[str]:
    """R14: what must come, change or go before an unresolved request can be answered otherwise.

    That is every key that found nothing, and every row that was found and led nowhere; none for most requests, which
    name nothing. sql/touched.sql writes the same texts of what a load has touched.

    >>> from udecdash_updater.targets import parse
    >>> resources, target = Resources(), parse("/courses/7/modules/items/9?x=/courses/7/pages/a", 7)
    >>> request = Request(1, "a", None, 20, 10, 5, None, None, None, None)
    >>> resources.add(MODULE_ITEMS, {9}, [(1009, 9, "WikiPage", 1004, None, None, None, None)])
    >>> for line in wants(request, target, {"a": (Page(1, 1, (1001,)), Page(2, 2, (1002, 1003)))}, resources):
    ...     print(line)
    module_item_dim canvas_id 9
    module_item_dim id 1009
    page 10 a
    wiki_page_dim id 1
    module_item_dim id 1001
    wiki_page_dim id 2
    module_item_dim id 1002
    module_item_dim id 1003
    wiki_page_dim id 1004
    quiz_dim id 5
    """
    item = resources.item(target.item_id)
    if target.item_id is not None:
        yield f"{MODULE_ITEMS.table} {MODULE_ITEMS.column} {target.item_id}"
    if item:
        yield f"{MODULE_ITEMS.table} id {item.id}"
    if target.slug is not None:
        yield f"page {request.course_id} {target.slug}"
        for page in pages.get(target.slug, ()):
            yield f"wiki_page_dim id {page.id}"
            yield from (f"{MODULE_ITEMS.table} id {pointing}" for pointing in page.items)
    for kind in _KINDS:
        for lookup, number in filter(None, (_named(kind, request, target), _pointed(kind, item))):
            if number.id is not None:
                yield f"{lookup.table} {lookup.column} {number.id}"


def fingerprint(want: str) -> int:
    """A want in 64 bits, as the ledger keeps it; two wants that share one cost a look, no more.

    >>> fingerprint("quiz_dim id 5")
    1192722779604999660
    """
    return int.from_bytes(sha256(want.encode()).digest()[:8], "big", signed=True)
