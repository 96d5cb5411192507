"""What a worker runs: a course's new requests, and those that found nothing so far, become interactions.

All of a course in one transaction, under a lock of its own: a job killed, run twice or run by two workers at once
changes nothing that running it once would not. What is due follows from the ledger, never from the queue.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from udecdash_updater import db, logged, settings
from udecdash_updater.clock import Clock
from udecdash_updater.dashboard import ATTACHMENTS
from udecdash_updater.interactions import INTERACTION_TABLES, Classifier, Interaction, Request, Unresolved
from udecdash_updater.resources import Resources, pages_by_slug
from udecdash_updater.settings import Settings

_CHUNK = 10_000
_HITS = (
    "place", "kind", "course_id", "user_id", "item_id", "item_canvas_id", "viewed", "url", "device", "downloaded",
)  # fmt: skip
_MISSES = ("place", "request_id", "user_id", "url", "label", "message", "log")


@dataclass(frozen=True, slots=True)
class CourseDone:
    """What a job did for a course: requests judged, interactions written, requests still unresolved."""

    course: int
    judged: int
    interactions: int
    unresolved: int


@dataclass(slots=True)
class _Judged:
    """One course's answers on their way to the database."""

    hits: list[tuple[int, Interaction]] = field(default_factory=list)
    misses: list[tuple[int, Request, Unresolved]] = field(default_factory=list)
    resolved: list[int] = field(default_factory=list)
    relabelled: list[tuple[int, str | None, str]] = field(default_factory=list)
    judged: int = 0
    still: int = 0


def process_courses(run: int, courses: list[int]) -> list[list[int]]:
    """The job: bring the courses' interactions up to date. JSON in, JSON out: [course, judged, interactions] each.

    Settings are those of the worker: its environment, then .env in its folder.
    Raises DatabaseError when PostgreSQL fails; the courses done until then stay done.
    """
    own = settings.load_for_worker()
    with db.opened(own, name="udecdash-updater worker", patient=True) as connection:
        done = [process_course(connection, own, run, course) for course in courses]
    return [[one.course, one.judged, one.interactions] for one in done if one]


def process_course(connection: db.Connection, own: Settings, run: int, course: int) -> CourseDone | None:
    """One course, in one transaction; None when the dump has no such course (yet)."""
    with (
        db.told(f"processing course {course}"),
        _locked(connection, course),
        db.transaction(connection, repeatable=True) as cursor,
    ):
        progress = next(iter(db.rows(cursor, "course_progress", {"course": course})), None)
        return None if progress is None else _process(cursor, own, run, course, progress)


@contextlib.contextmanager
def _locked(connection: db.Connection, course: int) -> Iterator[None]:
    # Taken before the transaction begins: its snapshot must be younger than whatever the former holder wrote.
    with connection.cursor() as cursor:
        db.run(cursor, "lock_course", {"course": course})
        try:
            yield
        finally:
            if not connection.closed:
                db.run(cursor, "unlock_course", {"course": course})


def _process(cursor: db.Cursor, own: Settings, run: int, course: int, progress: db.Row) -> CourseDone:
    newest, mark, canvas_id, resources_run = progress
    db.run(cursor, "hits_table")
    db.run(cursor, "misses_table")
    pages = pages_by_slug(db.rows(cursor, "course_pages", {"course": course}))
    classifier = Classifier(canvas_id, pages, Resources(), Clock(own.time_zone))
    judged = _Judged()
    known = _judge_again(cursor, classifier, course, judged, remember=mark == 0)
    span = {"course": course, "mark": mark, "upto": newest}
    for chunk in _chunks(cursor, "new_requests", span):
        requests = [Request._make(row) for row in chunk]
        _judge_new(cursor, classifier, [r for r in requests if r.id not in known], judged)
    written = _write(cursor, course, judged)
    done = CourseDone(course, judged.judged, written, judged.still)
    values = {"judged": done.judged, "interactions": done.interactions, "unresolved": done.unresolved}
    db.run(
        cursor, "move_mark", {**values, "course": course, "upto": newest, "resources_run": resources_run, "run": run}
    )
    return done


def _chunks(cursor: db.Cursor, name: str, values: dict[str, int]) -> Iterator[list[db.Row]]:
    """A statement's rows, a chunk at a time, through a cursor of the server."""
    with cursor.connection.cursor(name) as rows:
        rows.itersize = _CHUNK
        rows.execute(db.statement(name), values)
        while chunk := list(islice(rows, _CHUNK)):
            yield chunk


def _judge_again(
    cursor: db.Cursor, classifier: Classifier, course: int, judged: _Judged, *, remember: bool
) -> set[str]:
    """Rule R14: what found nothing is judged by the newest resources; the ids of all these requests if asked for."""
    known: set[str] = set()
    for chunk in _chunks(cursor, "unresolved_requests", {"course": course}):
        told = [(number, label, logged.read(log, course, user, url)) for number, log, label, user, url in chunk]
        judged.still += len(chunk)
        again = [(number, label, request) for number, label, request in told if request and request.id not in known]
        # The same request twice, as another program may have left it, ends in one place.
        judged.resolved += [number for number, _, request in told if request and request.id in known]
        _look_up(cursor, classifier, [request for _, _, request in again])
        for number, label, request in again:
            answer = classifier.classify(request)
            if isinstance(answer, Interaction):
                judged.hits.append((request.local_id, answer))
                judged.resolved.append(number)
            elif answer.label != label:
                judged.relabelled.append((number, answer.label, answer.message))
        judged.judged += len(chunk)
        known.update(request.id for _, _, request in again if remember)
        _send_hits(cursor, judged)
    judged.still -= len(judged.resolved)
    return known


def _judge_new(cursor: db.Cursor, classifier: Classifier, requests: Sequence[Request], judged: _Judged) -> None:
    _look_up(cursor, classifier, requests)
    for request in requests:
        answer = classifier.classify(request)
        if isinstance(answer, Interaction):
            judged.hits.append((request.local_id, answer))
        else:
            judged.misses.append((request.local_id, request, answer))
    judged.judged += len(requests)
    judged.still += len(judged.misses)
    _send_hits(cursor, judged)
    _send_misses(cursor, judged)


def _look_up(cursor: db.Cursor, classifier: Classifier, requests: Sequence[Request]) -> None:
    classifier.trim()
    while needs := classifier.needs(requests):
        for lookup, ids in needs.items():
            parts = {"columns": db.identifiers(lookup.columns), "table": db.identifier(lookup.table)}
            found = db.rows(cursor, "look_up", {"ids": sorted(ids)}, **parts, column=db.identifier(lookup.column))
            classifier.resources.add(lookup, ids, found)


def _send_hits(cursor: db.Cursor, judged: _Judged) -> None:
    lines = ((place, *hit) for place, hit in judged.hits)
    db.copy_rows(cursor, "hits", _HITS, lines)
    judged.hits.clear()


def _send_misses(cursor: db.Cursor, judged: _Judged) -> None:
    lines = ((n, r.id, r.user_id, r.url or "", miss.label, miss.message, r.log()) for n, r, miss in judged.misses)
    db.copy_rows(cursor, "misses", _MISSES, lines)
    judged.misses.clear()


def _write(cursor: db.Cursor, course: int, judged: _Judged) -> int:
    written = 0
    for table in INTERACTION_TABLES:
        name = "insert_downloads" if table == ATTACHMENTS else "insert_hits"
        written += db.run(cursor, name, {"kind": table}, target=db.identifier(table))
    db.run(cursor, "insert_days")
    db.run(cursor, "insert_misses", {"course": course})
    if judged.resolved:
        db.run(cursor, "delete_resolved", {"course": course, "ids": judged.resolved})
    db.insert_many(cursor, "relabel", judged.relabelled)
    return written


def due(cursor: db.Cursor) -> list[tuple[int, bool, int]]:
    """What is left to do: (course, whether it has new requests, how many of its requests are unresolved) each."""
    return [(course, new, unresolved) for course, new, unresolved in db.rows(cursor, "due_courses")]


def in_batches(courses: Iterable[int], size: int) -> Iterator[list[int]]:
    """Courses in lists of at most `size`.

    >>> list(in_batches([1, 2, 3], 2))
    [[1, 2], [3]]
    """
    left = iter(courses)
    return iter(lambda: list(islice(left, size)), [])
