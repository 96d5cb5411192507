"""The module items, pages, files, quizzes and so on that requests may reach, as far as they were asked for.

Those of any course may be named, so they are not loaded as a whole: whoever classifies looks up the ids that
interactions.py names, a chunk at a time, and adds what the database answered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple


class Resource(NamedTuple):
    """A row of a dim table, as far as interactions go."""

    id: int
    canvas_id: int


class ModuleItem(NamedTuple):
    """A row of module_item_dim, as far as interactions go; R2: deleted ones are not in the table."""

    id: int
    canvas_id: int
    content_type: str | None
    wiki_page_id: int | None
    file_id: int | None
    quiz_id: int | None
    discussion_topic_id: int | None
    assignment_id: int | None


class Lookup(NamedTuple):
    """Where to look: the rows of `table` whose `column` (id or canvas_id) is one of some ids."""

    table: str
    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that `Resources.add` expects of each row, in order.

        >>> Lookup("quiz_dim", "id").columns, MODULE_ITEMS.columns[:3]
        (('id', 'canvas_id'), ('id', 'canvas_id', 'content_type'))
        """
        return ModuleItem._fields if self == MODULE_ITEMS else Resource._fields


MODULE_ITEMS: Final = Lookup("module_item_dim", "canvas_id")


class Resources:
    """What lookups found, and what they did not find. The courses of a batch may share one."""

    def __init__(self) -> None:
        self._items: dict[int, ModuleItem | None] = {}
        self._rows: defaultdict[Lookup, dict[int, Resource | None]] = defaultdict(dict)

    def add(self, lookup: Lookup, asked: Iterable[int], rows: Iterable[Sequence[Any]]) -> None:
        """Remember the rows (`lookup.columns` each) found for the ids asked; the other ids found nothing.

        A row without canvas_id counts as not found: it could not be stored, as every key holds the canvas_id.

        >>> resources = Resources()
        >>> resources.add(Lookup("quiz_dim", "id"), {1, 2, 3}, [(1, 11), (2, None)])
        >>> [resources.row(Lookup("quiz_dim", "id"), id) for id in (1, 2, 3)]
        [Resource(id=1, canvas_id=11), None, None]
        >>> resources.row(Lookup("quiz_dim", "id"), 4)
        Traceback (most recent call last):
        KeyError: 4
        """
        if lookup == MODULE_ITEMS:
            self._items.update(dict.fromkeys(asked))
            self._items.update((item.canvas_id, item) for item in map(ModuleItem._make, rows))
            return
        position = Resource._fields.index(lookup.column)
        found = self._rows[lookup]
        found.update(dict.fromkeys(asked))
        found.update((row[position], Resource._make(row)) for row in rows if row[1] is not None)

    def row(self, lookup: Lookup, row_id: int | None) -> Resource | None:
        """The row with that id, or None. KeyError: it was never asked for, a mistake of the caller."""
        return None if row_id is None else self._rows[lookup][row_id]

    def item(self, canvas_id: int | None) -> ModuleItem | None:
        """The module item with that canvas_id, or None. KeyError as for `row`."""
        return None if canvas_id is None else self._items[canvas_id]

    def asked(self, lookup: Lookup, row_id: int) -> bool:
        """Whether that id has been looked up already."""
        return row_id in (self._items if lookup == MODULE_ITEMS else self._rows[lookup])

    def size(self) -> int:
        """How many ids of one kind were looked up, of the kind that was most."""
        return max(len(self._items), *map(len, self._rows.values()), 0)

    def forget(self) -> None:
        """All that was found."""
        self._items.clear()
        self._rows.clear()


class Page(NamedTuple):
    """A page that module items of a course point at, and these items' ids."""

    id: int
    canvas_id: int
    items: tuple[int, ...] = ()


Pages = Mapping[str, Sequence[Page]]
"""Slug to the different pages of one course that have it."""


def pages_by_slug(rows: Iterable[Sequence[Any]]) -> Pages:
    """The pages that the kept module items of a course point at, from rows of (url, id, canvas_id, id of the item).

    Two items that point at one page are one page:

    >>> pages_by_slug([("a", 1, 11, 5), ("a", 1, 11, 6), ("a", 2, 12, 7), ("b", 3, 13, 8), (None, 4, 14, 9)])["a"]
    [Page(id=1, canvas_id=11, items=(5, 6)), Page(id=2, canvas_id=12, items=(7,))]
    """
    pages: dict[str, dict[int, Page]] = {}
    for slug, row_id, canvas_id, *items in rows:
        if slug is not None and canvas_id is not None:
            same = pages.setdefault(slug, {})
            same[row_id] = Page(row_id, canvas_id, (*(same[row_id].items if row_id in same else ()), *items))
    return {slug: list(found.values()) for slug, found in pages.items()}
