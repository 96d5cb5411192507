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

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from udecdash_updater.clock import Clock
from udecdash_updater.resolution import (
    MESSAGE_LENGTH,
    Resolved,
    Unresolved,
    fingerprint,
    missing,
    resolve,
    wants,
)
from udecdash_updater.resources import Lookup, Pages, Resources
from udecdash_updater.targets import Target, parse
from udecdash_updater.weblog import Request, device


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


class Classifier:
    """The requests of one course, judged; what repeats (most URLs do) is judged once."""

    def __init__(self, course_canvas_id: int | None, pages: Pages, resources: Resources, clock: Clock) -> None:
        self.resources: Final = resources
        self._course_canvas_id = course_canvas_id
        self._pages = pages
        self.clock: Final = clock
        self._targets: dict[str | None, Target] = {}
        self._outcomes: dict[tuple[object, ...], Resolved | Unresolved] = {}

    def needs(self, rows: Iterable[Sequence[Any]]) -> dict[Lookup, set[int]]:
        """The ids that must be looked up and added to `resources` before these requests are classified.

        To be asked again until it is empty: what the module items point at is known only when they are.
        """
        needs: dict[Lookup, set[int]] = {}
        asked = {row[5:9]: row for row in rows}
        for question in asked.keys() - self._outcomes.keys():
            request = Request._make(asked[question])
            for lookup, row_id in missing(request, self._target(request), self.resources):
                needs.setdefault(lookup, set()).add(row_id)
        return needs

    def through_items(self, requests: Iterable[Request]) -> list[Request]:
        """Those of them that name a module item, so that `needs` may have more to ask once it is known."""
        return [request for request in requests if self._target(request).item_id is not None]

    def outcome(self, request: Request) -> Resolved | Unresolved:
        """The item that the request reached, or why it reached none, whenever it was."""
        outcome = self._outcomes.get(request[5:9])
        if outcome is None:
            outcome = resolve(request, self._target(request), self._pages, self.resources)
            self._outcomes[request[5:9]] = outcome
        return outcome

    def classify(self, request: Request) -> Interaction | Unresolved:
        """The request's interaction, or why it has none: nothing found, or a time that no calendar holds."""
        outcome = self.outcome(request)
        if isinstance(outcome, Unresolved):
            return outcome
        table, item_id, canvas_id, downloaded = outcome
        _, _, timestamp, user, course, _, _, _, url, agent = request
        try:
            viewed = self.clock.viewed(timestamp)
        except ValueError as error:
            return Unresolved(None, str(error)[:MESSAGE_LENGTH])
        return Interaction(table, course, user, item_id, canvas_id, viewed, url or "", device(agent), downloaded)

    def wants(self, request: Request) -> list[int]:
        """What an unresolved request waits for (resolution.wants), each as its fingerprint, once."""
        found = wants(request, self._target(request), self._pages, self.resources)
        return [fingerprint(want) for want in dict.fromkeys(found)]

    def size(self) -> int:
        """How much is remembered, by the largest part of it."""
        return max(len(self._targets), len(self._outcomes), self.resources.size())

    def forget(self) -> None:
        """Between two chunks, when it is much: all of it, so that memory stays flat whatever comes."""
        self._targets.clear()
        self._outcomes.clear()
        self.resources.forget()

    def _target(self, request: Request) -> Target:
        target = self._targets.get(request.url)
        if target is None:
            target = self._targets[request.url] = parse(request.url or "", self._course_canvas_id)
        return target
