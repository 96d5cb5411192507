"""One course, one transaction: its new requests, and those that found nothing so far, become interactions.

Under a lock of its own, so that a job killed, run twice or run by two workers at once changes nothing that running it
once would not. Much work is done in slices, each with its own transaction and its own move of the mark.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from udecdash_updater import db, logged
from udecdash_updater.answers import HITS, MISSES, WAITING, WANTS, Answers
from udecdash_updater.clock import Clock
from udecdash_updater.dashboard import ATTACHMENTS
from udecdash_updater.interactions import Classifier, Interaction
from udecdash_updater.resolution import INTERACTION_TABLES
from udecdash_updater.resources import Resources, pages_by_slug
from udecdash_updater.settings import Settings
from udecdash_updater.weblog import Request

_SLICE = 500_000
_CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class CourseDone:
    """What was done for a course: requests judged, interactions written, requests still unresolved, slices left."""

    course: int
    judged: int
    interactions: int
    unresolved: int
    left: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a course is: local_ids and counts of its requests, the runs whose tables it was and will be judged by.

    `slice_end` is where a slice of many requests ends; `whole` asks to judge every unresolved request again.
    """

    newest: int
    total: int
    mark: int
    judged: int
    slice_end: int | None
    canvas_id: int | None
    unresolved: int
    seen_run: int
    tables_run: int
    whole: bool

    @property
    def upto(self) -> int:
        """The local_id up to which the next transaction judges."""
        return self.newest if self.slice_end is None or self.anew else min(self.slice_end, self.newest)

    @property
    def anew(self) -> bool:
        """`requests` was filled anew: it may hold requests that are recorded as unresolved already."""
        return self.mark == 0 and self.unresolved > 0


@dataclass(slots=True)
class _Judged:
    """One course's answers, and what became of the requests that were judged again, by their numbers."""

    answers: Answers
    again: list[int] = field(default_factory=list)
    resolved: list[int] = field(default_factory=list)
    relabelled: list[tuple[int, str | None, str]] = field(default_factory=list)
    fresh: int = 0
    read: int = 0


def process_course(connection: db.Connection, own: Settings, run: int, course: int) -> CourseDone | None:
    """All that is due in one course; what the last slice did, or None when the dump has no such course (yet)."""
    while done := process_slice(connection, own, run, course):
        if not done.left:
            break
    return done


def process_slice(connection: db.Connection, own: Settings, run: int, course: int) -> CourseDone | None:
    """The next slice of a course, in one transaction; None when the dump has no such course (yet).

    Raises DatabaseError when PostgreSQL fails; nothing was changed then.
    """
    with (
        db.told(f"processing course {course}"),
        _locked(connection, course),
        db.transaction(connection, repeatable=True) as cursor,
    ):
        found = db.rows(cursor, "course_progress", {"course": course, "slice": _SLICE})
        return _process(cursor, own, run, course, Progress(*found[0])) if found else None


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


def _process(cursor: db.Cursor, own: Settings, run: int, course: int, progress: Progress) -> CourseDone:
    for table in ("hits_table", "waiting_table", "wants_table"):
        db.run(cursor, table)
    pages = pages_by_slug(db.rows(cursor, "course_pages", {"course": course}))
    classifier = Classifier(progress.canvas_id, pages, Resources(), Clock(own.time_zone))
    judged = _Judged(Answers(classifier))
    known = _judge_again(cursor, classifier, course, progress, judged)
    span = {"course": course, "mark": progress.mark, "upto": progress.upto}
    for chunk in _chunks(cursor, "new_requests", span):
        _judge_new(cursor, classifier, [row for row in chunk if row[1] not in known] if known else chunk, judged)
        judged.fresh += len(chunk)
    written = _write(cursor, course, judged, whole=progress.whole)
    done = _done(course, progress, judged, written)
    _move_mark(cursor, run, progress, done, judged.fresh)
    return done


def _done(course: int, progress: Progress, judged: _Judged, written: int) -> CourseDone:
    before = judged.read if progress.whole else progress.unresolved
    left = before - len(judged.resolved) + len(judged.answers.missed)
    return CourseDone(course, judged.fresh + judged.read, written, left, progress.upto < progress.newest)


def _move_mark(cursor: db.Cursor, run: int, progress: Progress, done: CourseDone, fresh: int) -> None:
    values = {
        "course": done.course,
        "upto": progress.upto,
        "total": progress.judged + fresh if done.left else progress.total,
        "unresolved": done.unresolved,
        "tables_run": progress.tables_run,
        "canvas_id": progress.canvas_id,
        "run": run,
        "judged": done.judged,
        "interactions": done.interactions,
    }
    db.run(cursor, "move_mark", values)


def _chunks(cursor: db.Cursor, name: str, values: dict[str, int]) -> Iterator[list[db.Row]]:
    """A statement's rows, a chunk at a time, through a cursor of the server."""
    with cursor.connection.cursor(name) as rows:
        rows.itersize = _CHUNK
        rows.execute(db.statement(name), values)
        while chunk := list(islice(rows, _CHUNK)):
            yield chunk


def _judge_again(
    cursor: db.Cursor, classifier: Classifier, course: int, progress: Progress, judged: _Judged
) -> set[str]:
    """Rule R14: what found nothing and may resolve now; the ids of all these requests where `requests` begins anew."""
    known: set[str] = set()
    name = "unresolved_requests" if progress.whole or progress.anew else "resolvable_requests"
    for chunk in _chunks(cursor, name, {"course": course, "seen": progress.seen_run}):
        told = [(number, label, logged.read(log, course, user, url)) for number, log, label, user, url in chunk]
        judged.read += len(chunk)
        judged.again += [number for number, _, _ in told]
        again = [(number, label, request) for number, label, request in told if request and request.id not in known]
        # The same request twice, as another program may have left it, ends in one place.
        judged.resolved += [number for number, _, request in told if request and request.id in known]
        judged.answers.trim()
        _look_up(cursor, classifier, [request for _, _, request in again])
        for number, label, request in again:
            _answer_again(classifier, number, label, request, judged)
        known.update(request.id for _, _, request in again if progress.anew)
        _send(cursor, judged)
    return known


def _answer_again(classifier: Classifier, number: int, label: str | None, request: Request, judged: _Judged) -> None:
    answer = classifier.classify(request)
    if isinstance(answer, Interaction):
        judged.answers.add(request)
        judged.resolved.append(number)
        return
    judged.answers.wants += [f"\\N\t{number}\t{want}\n" for want in classifier.wants(request)]
    if answer.label != label:
        judged.relabelled.append((number, answer.label, answer.message))


def _judge_new(cursor: db.Cursor, classifier: Classifier, rows: Sequence[db.Row], judged: _Judged) -> None:
    judged.answers.trim()
    _look_up(cursor, classifier, rows)
    for row in rows:
        judged.answers.add(row)
    _send(cursor, judged)


def _look_up(cursor: db.Cursor, classifier: Classifier, rows: Sequence[db.Row]) -> None:
    while needs := classifier.needs(rows):
        for lookup, ids in needs.items():
            parts = {"columns": db.identifiers(lookup.columns), "table": db.identifier(lookup.table)}
            found = db.rows(cursor, "look_up", {"ids": sorted(ids)}, **parts, column=db.identifier(lookup.column))
            classifier.resources.add(lookup, ids, found)


def _send(cursor: db.Cursor, judged: _Judged) -> None:
    db.copy_lines(cursor, "hits", HITS, judged.answers.hits)
    db.copy_lines(cursor, "unprocessable_interactions", MISSES, judged.answers.misses)
    db.copy_lines(cursor, "waiting", WAITING, judged.answers.waiting)
    db.copy_lines(cursor, "wants", WANTS, judged.answers.wants)


def _write(cursor: db.Cursor, course: int, judged: _Judged, *, whole: bool) -> int:
    written = 0
    for table in INTERACTION_TABLES:
        name = "insert_downloads" if table == ATTACHMENTS else "insert_hits"
        written += db.run(cursor, name, {"kind": table}, target=db.identifier(table))
    db.run(cursor, "insert_days")
    db.run(cursor, "insert_waiting")
    if judged.resolved:
        db.run(cursor, "delete_resolved", {"course": course, "ids": judged.resolved})
    db.insert_many(cursor, "relabel", judged.relabelled)
    if whole:
        db.run(cursor, "forget_all_wants", {"course": course})
    elif judged.again:
        db.run(cursor, "forget_wants", {"course": course, "numbers": judged.again})
    db.run(cursor, "insert_wants", {"course": course})
    return written
